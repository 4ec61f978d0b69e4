"""Changes of the tables, in order; made by `tortoise makemigrations`, applied by `wsupdates migrate`."""

"""The HTTP interface: routes, keys, errors, and the page that explains them."""

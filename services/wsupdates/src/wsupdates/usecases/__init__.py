"""What callers can have done: one transaction of the store each."""

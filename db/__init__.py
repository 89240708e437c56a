"""The stores of domain/ports.py on SQLite, PostgreSQL and MySQL (or MariaDB)."""

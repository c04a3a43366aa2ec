"""The history of the schema, one Alembic revision a module; published ones never change."""

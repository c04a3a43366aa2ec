"""What every request passes before its route; `app/factory.py` lists it from outside inwards."""

"""What operators set, and the limits that hold by default."""

from __future__ import annotations

from app.settings.file import SettingsFileUnusable
from app.settings.limits import PREFIX
from app.settings.settings import Guarantee, LogFormat, Role, Settings

__all__ = ["PREFIX", "Guarantee", "LogFormat", "Role", "Settings", "SettingsFileUnusable"]

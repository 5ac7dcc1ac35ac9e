"""What a person sets once: one TOML file, its schema, the key map. No Textual, and cheap: it is read before the first
paint."""

from kagent_tui.config.fields import FIELDS, Config, ContextConfig
from kagent_tui.config.load import config_file, load, parse
from kagent_tui.config.problems import Problem

__all__ = ["FIELDS", "Config", "ContextConfig", "Problem", "config_file", "load", "parse"]

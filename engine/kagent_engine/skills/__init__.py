"""Skills: instructions and files that an agent reads when it needs them, with a shell and files to work with."""

from __future__ import annotations

from kagent_engine.skills.catalogue import Skill, read_skills
from kagent_engine.skills.tools import SHELL, skill_tools, skills_notes
from kagent_engine.skills.uploads import Uploads

__all__ = ["SHELL", "Skill", "Uploads", "read_skills", "skill_tools", "skills_notes"]

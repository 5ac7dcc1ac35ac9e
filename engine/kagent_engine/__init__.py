"""The agent process: conversation loop, models, tools over MCP, served over A2A. Imports nothing heavy."""

"""What the model may call: MCP servers, other agents, questions to the person. Each behind one tool protocol."""

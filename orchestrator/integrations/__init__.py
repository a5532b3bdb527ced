"""Firstline inside what people already use: MCP clients, LangChain, CrewAI."""

"""Faust and everything that touches the world: topics, agents, transport, stack, command line."""

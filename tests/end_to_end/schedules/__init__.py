"""Agents, people and faults in random orders, in virtual time; a seed is a run."""

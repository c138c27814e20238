"""The city simulator: seeded, event-timed, pure. docs/simulator.md says what it imitates and how hard it is."""

from processors.simulate.rule import Interval, Sent, SimulationRule
from processors.simulate.simulation import Simulation

__all__ = ["Interval", "Sent", "Simulation", "SimulationRule"]

"""`energy demo`: the service with a simulated fleet and its last two weeks."""

from service.commands.demo.command import demo

__all__ = ["demo"]

from fleet.models.fleets import Fleet, Membership, Role
from fleet.models.people import User
from fleet.models.vehicles import Motion, Vehicle, VehicleState

__all__ = ["Fleet", "Membership", "Motion", "Role", "User", "Vehicle", "VehicleState"]

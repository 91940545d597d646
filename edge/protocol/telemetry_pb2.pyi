from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Telemetry(_message.Message):
    __slots__ = (
        "vin",
        "timestamp",
        "stream_id",
        "sequence",
        "keyframe",
        "speed",
        "battery",
        "power",
        "heading",
        "latitude",
        "longitude",
        "voltage",
        "current",
        "odometer",
        "altitude",
        "rpm",
        "battery_temperature",
        "motor_temperature",
        "cabin_temperature",
        "outdoor_temperature",
        "coolant_temperature",
        "acceleration",
        "throttle",
        "torque",
        "ignition",
        "charging",
        "range",
        "fuel_level",
        "engine_load",
        "aux_voltage",
        "intake_temperature",
        "air_flow",
        "lateral_acceleration",
        "yaw_rate",
        "hvac_power",
        "catalogue",
        "omitted",
        "unavailable",
        "state_crc",
        "content_crc",
        "extra",
        "labels",
    )
    class ExtraEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

    VIN_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    HEADING_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    VOLTAGE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    ODOMETER_FIELD_NUMBER: _ClassVar[int]
    ALTITUDE_FIELD_NUMBER: _ClassVar[int]
    RPM_FIELD_NUMBER: _ClassVar[int]
    BATTERY_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MOTOR_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    CABIN_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    OUTDOOR_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    COOLANT_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    ACCELERATION_FIELD_NUMBER: _ClassVar[int]
    THROTTLE_FIELD_NUMBER: _ClassVar[int]
    TORQUE_FIELD_NUMBER: _ClassVar[int]
    IGNITION_FIELD_NUMBER: _ClassVar[int]
    CHARGING_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    FUEL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_LOAD_FIELD_NUMBER: _ClassVar[int]
    AUX_VOLTAGE_FIELD_NUMBER: _ClassVar[int]
    INTAKE_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    AIR_FLOW_FIELD_NUMBER: _ClassVar[int]
    LATERAL_ACCELERATION_FIELD_NUMBER: _ClassVar[int]
    YAW_RATE_FIELD_NUMBER: _ClassVar[int]
    HVAC_POWER_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_FIELD_NUMBER: _ClassVar[int]
    OMITTED_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    STATE_CRC_FIELD_NUMBER: _ClassVar[int]
    CONTENT_CRC_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    vin: str
    timestamp: float
    stream_id: int
    sequence: int
    keyframe: bool
    speed: float
    battery: float
    power: float
    heading: float
    latitude: float
    longitude: float
    voltage: float
    current: float
    odometer: float
    altitude: float
    rpm: float
    battery_temperature: float
    motor_temperature: float
    cabin_temperature: float
    outdoor_temperature: float
    coolant_temperature: float
    acceleration: float
    throttle: float
    torque: float
    ignition: float
    charging: float
    range: float
    fuel_level: float
    engine_load: float
    aux_voltage: float
    intake_temperature: float
    air_flow: float
    lateral_acceleration: float
    yaw_rate: float
    hvac_power: float
    catalogue: str
    omitted: int
    unavailable: _containers.RepeatedScalarFieldContainer[int]
    state_crc: int
    content_crc: int
    extra: _containers.ScalarMap[str, float]
    labels: _containers.ScalarMap[str, str]
    def __init__(
        self,
        vin: _Optional[str] = ...,
        timestamp: _Optional[float] = ...,
        stream_id: _Optional[int] = ...,
        sequence: _Optional[int] = ...,
        keyframe: _Optional[bool] = ...,
        speed: _Optional[float] = ...,
        battery: _Optional[float] = ...,
        power: _Optional[float] = ...,
        heading: _Optional[float] = ...,
        latitude: _Optional[float] = ...,
        longitude: _Optional[float] = ...,
        voltage: _Optional[float] = ...,
        current: _Optional[float] = ...,
        odometer: _Optional[float] = ...,
        altitude: _Optional[float] = ...,
        rpm: _Optional[float] = ...,
        battery_temperature: _Optional[float] = ...,
        motor_temperature: _Optional[float] = ...,
        cabin_temperature: _Optional[float] = ...,
        outdoor_temperature: _Optional[float] = ...,
        coolant_temperature: _Optional[float] = ...,
        acceleration: _Optional[float] = ...,
        throttle: _Optional[float] = ...,
        torque: _Optional[float] = ...,
        ignition: _Optional[float] = ...,
        charging: _Optional[float] = ...,
        range: _Optional[float] = ...,
        fuel_level: _Optional[float] = ...,
        engine_load: _Optional[float] = ...,
        aux_voltage: _Optional[float] = ...,
        intake_temperature: _Optional[float] = ...,
        air_flow: _Optional[float] = ...,
        lateral_acceleration: _Optional[float] = ...,
        yaw_rate: _Optional[float] = ...,
        hvac_power: _Optional[float] = ...,
        catalogue: _Optional[str] = ...,
        omitted: _Optional[int] = ...,
        unavailable: _Optional[_Iterable[int]] = ...,
        state_crc: _Optional[int] = ...,
        content_crc: _Optional[int] = ...,
        extra: _Optional[_Mapping[str, float]] = ...,
        labels: _Optional[_Mapping[str, str]] = ...,
    ) -> None: ...

class TelemetryBatch(_message.Message):
    __slots__ = ("records", "vin", "stream_id")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    VIN_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[Telemetry]
    vin: str
    stream_id: int
    def __init__(
        self,
        records: _Optional[_Iterable[_Union[Telemetry, _Mapping]]] = ...,
        vin: _Optional[str] = ...,
        stream_id: _Optional[int] = ...,
    ) -> None: ...

class RawTelemetryBatch(_message.Message):
    __slots__ = ("records", "vin", "stream_id")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    VIN_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedScalarFieldContainer[bytes]
    vin: str
    stream_id: int
    def __init__(
        self,
        records: _Optional[_Iterable[bytes]] = ...,
        vin: _Optional[str] = ...,
        stream_id: _Optional[int] = ...,
    ) -> None: ...

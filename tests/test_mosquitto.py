"""deploy/mosquitto in a real Mosquitto: TLS 1.2 or newer, no stranger, own topics only."""

import getpass
import os
import queue
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.environment import ROOT, clean_environment
from tests.servers import Process, answers, free_port, missing

pytestmark = pytest.mark.services
PASSWORDS = {"van-1": "first", "van-2": "second", "convoy": "third"}
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


@dataclass(frozen=True)
class Broker:
    port: int
    authority: Path


def program(name: str) -> str:
    return shutil.which(name, path=SYSTEM_PATH) or missing(f"no {name} on this machine")


def configured(folder: Path, secrets: Path, port: int) -> str:
    text = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text("utf-8")
    for there, here in (
        ("/mosquitto/secrets", str(secrets)),
        ("/mosquitto/data", str(folder)),
        ("/mosquitto/config", str(ROOT / "deploy/mosquitto")),
        ("listener 8883", f"user {getpass.getuser()}\nlistener {port} 127.0.0.1"),
    ):
        assert there in text
        text = text.replace(there, here)
    return text


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder, port = tmp_path_factory.mktemp("mosquitto"), free_port()
    secrets = folder / "secrets"
    server, passwd = program("mosquitto"), program("mosquitto_passwd")
    subprocess.run(
        ["sh", "deploy/mosquitto/prepare.sh", secrets, "localhost"], cwd=ROOT, check=True, capture_output=True
    )
    for name, password in PASSWORDS.items():
        subprocess.run([passwd, "-b", secrets / "passwords", name, password], check=True, capture_output=True)
    shutil.chown(secrets / "passwords", getpass.getuser())
    (folder / "mosquitto.conf").write_text(configured(folder, secrets, port), "utf-8")
    process = Process("mosquitto", [server, "-c", str(folder / "mosquitto.conf")], folder)
    process.env = clean_environment()
    try:
        process.spawn().wait_ready(lambda: answers(port))
        yield Broker(port, secrets / "ca.crt")
    finally:
        process.stop()


class Visitor:
    """A client that waits for what it asked: connection, subscription, messages."""

    def __init__(self, broker: Broker, name: str, password: str | None = None) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.tls_set(str(broker.authority))
        if name:
            self.client.username_pw_set(name, PASSWORDS.get(name) if password is None else password)
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client.on_connect = lambda client, data, flags, code, props: self.answers.put(("connect", code))
        self.client.on_subscribe = lambda client, data, mid, codes, props: self.answers.put(
            ("subscribe", codes)
        )
        self.client.on_message = self._receive
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.code = self.answers.get(timeout=10)[1]

    def _receive(self, client: Client, data: object, message: MQTTMessage) -> None:
        self.answers.put((message.topic, message.payload))

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        assert self.answers.get(timeout=10)[0] == "subscribe"

    def publish(self, topic: str, payload: str) -> None:
        self.client.publish(topic, payload, qos=1).wait_for_publish(10)

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def visit(broker: Broker) -> Iterator[Any]:
    visitors: list[Visitor] = []

    def come(name: str, password: str | None = None) -> Visitor:
        visitors.append(Visitor(broker, name, password))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.leave()


def test_a_device_reaches_its_own_topics_and_no_other(visit: Any) -> None:
    server, van = visit("convoy"), visit("van-1")
    server.subscribe("devices/+/sensor_data")
    van.publish("devices/van-2/sensor_data", "forged")
    van.publish("devices/van-1/sensor_data", "own")
    assert server.answers.get(timeout=10) == ("devices/van-1/sensor_data", b"own")
    assert server.answers.empty()


def test_a_device_hears_its_own_commands_only(visit: Any) -> None:
    server, van = visit("convoy"), visit("van-1")
    van.subscribe("devices/+/commands")
    van.subscribe("devices/van-1/commands")
    server.publish("devices/van-2/commands", "not yours")
    server.publish("devices/van-1/commands", "yours")
    assert van.answers.get(timeout=10) == ("devices/van-1/commands", b"yours")
    assert van.answers.empty()


def test_nobody_without_a_password(visit: Any) -> None:
    assert visit("van-1").code == 0
    assert visit("").code != 0
    assert visit("van-1", "wrong").code != 0


def handshake(broker: Broker, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(broker.authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", broker.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.version()


def test_tls_before_1_2_is_refused(broker: Broker) -> None:
    assert handshake(broker, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert handshake(broker, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(broker, ssl.TLSVersion.TLSv1_1)


def test_plain_text_is_refused(broker: Broker) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    connected: queue.Queue[bool] = queue.Queue()
    client.on_connect = lambda *_: connected.put(True)
    client.on_disconnect = lambda *_: connected.put(False)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert connected.get(timeout=10) is False
    client.loop_stop()

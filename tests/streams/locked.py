"""Servers behind TLS and passwords: certificates, a Kafka with three locked doors, and a TLS front for any server."""

import os
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sinks.ports import LOOPBACK, free_port
from streams.stack.downloads import Origin, fetch
from streams.stack.parts import listens

USER: Final = "cityops"
PASSWORD: Final = 'p@ss: "w%rd/'
UP_WITHIN_S: Final = 60.0
LOGIN: Final = "org.apache.kafka.common.security"

PROPERTIES: Final = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=INNER://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller},SASL_SSL://127.0.0.1:{sasl_ssl},SSL://127.0.0.1:{ssl}
listener.security.protocol.map=INNER:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=INNER
log.dirs={folder}/log
auto.create.topics.enable=false
message.max.bytes=20971520
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={login}.plain.PlainLoginModule required user_{user}="{escaped}";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.ssl.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: who signs, another who signs nothing of ours, a server's, and a client's with its key."""

    ca: Path
    stranger: Path
    server: Path
    client: Path
    client_key: Path


@dataclass(frozen=True, slots=True)
class LockedKafka:
    """host:port of the door that asks for a password and of the one that asks for a certificate; both are TLS."""

    sasl_ssl: str
    ssl: str


def make_certificates(folder: Path) -> Certificates:
    """Issue certificates for 127.0.0.1 into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, stranger = trustme.CA(), trustme.CA()
    names = ("ca", "stranger", "server", "client", "client-key")
    found = Certificates(*(folder / f"{name}.pem" for name in names))
    authority.cert_pem.write_to_path(found.ca)
    stranger.cert_pem.write_to_path(found.stranger)
    server, client = authority.issue_cert(LOOPBACK, "localhost"), authority.issue_cert("cityops.example")
    found.server.write_bytes(_pkcs8(server) + b"".join(part.bytes() for part in server.cert_chain_pems))
    found.client.write_bytes(b"".join(part.bytes() for part in client.cert_chain_pems))
    found.client_key.write_bytes(_pkcs8(client))
    return found


def _pkcs8(leaf: trustme.LeafCert) -> bytes:
    """Return the key in the form that Kafka reads."""
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@contextmanager
def locked_kafka(folder: Path) -> Iterator[LockedKafka]:
    """Run a Kafka with the folder's certificates, one user, and no door that is open to others than itself."""
    downloads = fetch(lambda step: None, Origin())
    ports = {name: free_port() for name in ("inner", "controller", "sasl_ssl", "ssl")}
    escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\\\"')
    properties = folder / "kafka.properties"
    properties.write_text(PROPERTIES.format(folder=folder, login=LOGIN, user=USER, escaped=escaped, **ports))
    environment = {**os.environ, "CLASSPATH": os.pathsep.join(str(jar) for jar in downloads.kafka_jars)}
    java = [str(downloads.java), "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    scram = [
        part for bits in (256, 512) for part in ("--add-scram", f'SCRAM-SHA-{bits}=[name={USER},password="{PASSWORD}"]')
    ]
    tool = [*java, "kafka.tools.StorageTool", "format", "-t", "cityops-test-locked-00", "-c", str(properties), *scram]
    subprocess.run(tool, env=environment, check=True, capture_output=True)
    with (folder / "kafka.log").open("wb") as log:
        broker = subprocess.Popen([*java, "kafka.Kafka", str(properties)], env=environment, stdout=log, stderr=log)
    try:
        wait_listening(ports["sasl_ssl"], broker)
        wait_listening(ports["ssl"], broker)
        yield LockedKafka(f"{LOOPBACK}:{ports['sasl_ssl']}", f"{LOOPBACK}:{ports['ssl']}")
    finally:
        broker.kill()
        broker.wait()


def wait_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until something listens there."""
    until = time.monotonic() + UP_WITHIN_S
    while not listens(port):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)


@contextmanager
def tls_front(port: int, certificates: Certificates) -> Iterator[int]:
    """Take TLS connections on a port of its own, which is given, and pass their bytes on to `port` on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)

    class Front(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                outer = context.wrap_socket(self.request, server_side=True)
                inner = socket.create_connection((LOOPBACK, port))
            except OSError:
                return  # a client that does not trust the certificate, or a server that is not there yet
            with closing(outer), closing(inner):
                threading.Thread(target=_pass_on, args=(inner, outer), daemon=True).start()
                _pass_on(outer, inner)

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Front) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass

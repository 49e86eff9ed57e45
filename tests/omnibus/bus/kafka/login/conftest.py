"""A broker that wants encryption and a login, with authorities and certificates made here; one for all tests."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from confluent_kafka import admin as untyped_admin
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from omnibus.testing.kafka import cluster
from omnibus.testing.ports import free_ports

PASSWORD = "invented-password"
ISSUER, AUDIENCE = "https://login.example.org", "kafka.example.org"
PREFIX = "safe"
_DAY = dt.timedelta(days=1)
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
admin: Any = untyped_admin  # it names its classes without exporting them
_BEARER = "org.apache.kafka.common.security.oauthbearer"


@dataclass(frozen=True)
class Authority:
    """Signs certificates for 127.0.0.1."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        made = _certificate(subject, subject, key.public_key(), _DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        made = made.add_extension(usage, critical=True)
        return cls(key, made.sign(key, hashes.SHA256()))

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, address: str = "127.0.0.1", lasts: dt.timedelta = _DAY) -> tuple[bytes, bytes]:
        """A private key and a certificate, both as PEM; one that lasts less than nothing has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(_name(name), self.certificate.subject, key.public_key(), lasts)
        alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        made = made.add_extension(alternatives, critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private, made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lasts: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    return builder.not_valid_before(now - 2 * _DAY).not_valid_after(now + lasts)


@dataclass(frozen=True)
class Secured:
    """The broker: the ports of its listeners, its files, and who signs tokens for it."""

    ports: dict[str, int]
    folder: Path
    signer: rsa.RSAPrivateKey

    def token(self, lasts: dt.timedelta = _DAY, audience: str = AUDIENCE) -> str:
        claims = {"sub": "omnibus", "iss": ISSUER, "aud": audience, "iat": dt.datetime.now(dt.UTC) - _DAY * 2}
        claims["exp"] = dt.datetime.now(dt.UTC) + lasts
        return jwt.encode(claims, self.signer, algorithm="RS256", headers={"kid": "k1"})

    def token_file(self, **options: Any) -> Path:
        path = self.folder / f"token-{os.urandom(4).hex()}"
        path.write_text(self.token(**options) + "\n", "utf-8")
        return path


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    names = ("LOGIN", "CLEAR", "MUTUAL", "EXPIRED", "ELSEWHERE")
    found = Secured(
        dict(zip(names, free_ports(len(names)), strict=True)),
        folder,
        rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    )
    _write_certificates(folder)
    keys = folder / "keys.json"
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(found.signer.public_key()))
    keys.write_text(json.dumps({"keys": [public | {"kid": "k1", "use": "sig", "alg": "RS256"}]}), "utf-8")
    allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys.as_uri()}"
    with cluster(more=_settings(folder, keys), listeners=found.ports, java=[allowed]) as running:
        _let_in(running.addresses)
        yield found


def _write_certificates(folder: Path) -> None:
    authority, stranger = Authority.new("Invented Authority"), Authority.new("Another Authority")
    (folder / "ca.pem").write_bytes(authority.pem())
    (folder / "other-ca.pem").write_bytes(stranger.pem())
    for name, (key, certificate) in {
        "broker": authority.issue("broker"),
        "expired": authority.issue("broker", lasts=-_DAY),
        "elsewhere": authority.issue("broker", address="192.0.2.7"),
        "client": authority.issue("omnibus"),
        "stranger": stranger.issue("omnibus"),
    }.items():
        (folder / f"{name}.pem").write_bytes(key + certificate)


def _settings(folder: Path, keys: Path) -> dict[str, str]:
    settings = {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_SSL,"
        "CLEAR:SASL_PLAINTEXT,MUTUAL:SSL,EXPIRED:SSL,ELSEWHERE:SSL",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # the listeners without a login: of the broker itself, and of the set-up
        "sasl.oauthbearer.jwks.endpoint.url": keys.as_uri(),
        "sasl.oauthbearer.expected.issuer": ISSUER,
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.truststore.type": "PEM",
        "listener.name.mutual.ssl.truststore.location": str(folder / "ca.pem"),
        "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/",
    }
    for listener, file in (("login", "broker"), ("mutual", "broker"), ("expired", "expired"),
                           ("elsewhere", "elsewhere")):  # fmt: skip
        settings[f"listener.name.{listener}.ssl.keystore.type"] = "PEM"
        settings[f"listener.name.{listener}.ssl.keystore.location"] = str(folder / f"{file}.pem")
    for listener in ("login", "clear"):
        sasl = f"listener.name.{listener}"
        settings |= {
            f"{sasl}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{sasl}.plain.sasl.jaas.config": f'{_PLAIN} required user_omnibus="{PASSWORD}" user_guest="{PASSWORD}";',
            f"{sasl}.scram-sha-256.sasl.jaas.config": f"{_SCRAM} required;",
            f"{sasl}.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            f"{sasl}.oauthbearer.sasl.jaas.config": f"{_BEARER}.OAuthBearerLoginModule required;",
            f"{sasl}.oauthbearer.sasl.server.callback.handler.class": f"{_BEARER}.OAuthBearerValidatorCallbackHandler",
        }
    settings["listener.name.clear.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256"
    return settings


def _let_in(addresses: Sequence[str]) -> None:
    """The user's SCRAM passwords, and exactly the rights that docs/guide/kafka.md asks for."""
    client = admin.AdminClient({"bootstrap.servers": ",".join(addresses)})
    passwords = [
        admin.UserScramCredentialUpsertion("omnibus", admin.ScramCredentialInfo(mechanism, 4_096), PASSWORD.encode())
        for mechanism in (admin.ScramMechanism.SCRAM_SHA_256, admin.ScramMechanism.SCRAM_SHA_512)
    ]
    for password in passwords:
        for done in client.alter_user_scram_credentials([password]).values():
            done.result(30)
    rights = {
        admin.ResourceType.TOPIC: ("READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS", "CREATE"),
        admin.ResourceType.GROUP: ("READ",),
        admin.ResourceType.TRANSACTIONAL_ID: ("WRITE", "DESCRIBE"),
    }
    bindings = [
        admin.AclBinding(kind, PREFIX, admin.ResourcePatternType.PREFIXED, "User:omnibus", "*",
                         admin.AclOperation[operation], admin.AclPermissionType.ALLOW)
        for kind, operations in rights.items()
        for operation in operations
    ]  # fmt: skip
    for done in client.create_acls(bindings).values():
        done.result(30)


Section = Callable[..., dict[str, Any]]


@pytest.fixture
def tls(secured: Secured) -> Section:
    """The section `kafka.tls` with the right authority, or another file."""

    def section(ca: str = "ca.pem", **more: str) -> dict[str, Any]:
        files = {name: str(secured.folder / file) for name, file in more.items()}
        return {"ca_file": str(secured.folder / ca), **files}

    return section

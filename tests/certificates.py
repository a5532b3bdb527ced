"""A certificate authority of a test's own, and what it signs."""

import datetime
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_NAME = "Test CA"
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Signed:
    """A server's key and certificate, as files."""

    key: Path
    certificate: Path

    def context(self, *, asks: Path | None = None) -> ssl.SSLContext:
        """Return what a server shows it with; `asks`: the CA of the certificate that it wants to see of a client."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=asks)
        context.load_cert_chain(self.certificate, self.key)
        context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
        return context


class Authority:
    """A CA; `file` is its own certificate."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "ca.pem"
        self.file.write_bytes(_pem(self._sign(self._key.public_key(), _NAME, _DAY, is_authority=True)))

    def sign(self, name: str, *hosts: str, is_expired: bool = False) -> Signed:
        """Return a certificate for hosts, each a name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = Signed(self._folder / f"{name}.key", self._folder / f"{name}.pem")
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        signed.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        made = self._sign(key.public_key(), name, -_DAY if is_expired else _DAY, hosts=hosts)
        signed.certificate.write_bytes(_pem(made))
        return signed

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        lasting: datetime.timedelta,
        *,
        hosts: tuple[str, ...] = (),
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(_NAME))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * _DAY)
            .not_valid_after(now + lasting)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)

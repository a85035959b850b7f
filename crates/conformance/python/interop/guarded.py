"""What makes a server of the process one that speaks TLS, wants a client certificate, and knows a user."""

import base64
import datetime
import ipaddress

import pyarrow as pa
import pyarrow.flight as flight
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD, TOKEN = "reader", "p:ssword", "a-token-of-the-server"


class Certificates:
    """An authority that lives for a day, and what it signed for the server and for its client."""

    def __init__(self):
        authority_key, authority = self._made("authority of a test", None)
        self.authority = self._pem(authority)
        signer = (authority_key, authority)
        self.server = self._pair(*self._made("server of a test", signer))
        self.client = self._pair(*self._made("client of a test", signer))

    @staticmethod
    def _made(name, signer):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer[1].subject if signer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        )
        if signer:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return key, builder.sign(signer[0] if signer else key, hashes.SHA256())

    @staticmethod
    def _pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _pair(self, key, certificate):
        plain = serialization.NoEncryption()
        encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        return self._pem(certificate), encoded


class Greeting(flight.ServerAuthHandler):
    """Makes the call Handshake one that there is; who is calling the middleware looks at."""

    def authenticate(self, outgoing, incoming):
        pass

    def is_valid(self, token):
        return b""


class WhoIsCalling(flight.ServerMiddlewareFactory):
    """Takes a user name and a password in the handshake, and the token that it gives for them in all other calls."""

    def start_call(self, info, headers):
        given = next((values[0] for name, values in headers.items() if name.lower() == "authorization"), "")
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        wanted = basic if info.method == flight.FlightMethod.HANDSHAKE else "Bearer " + TOKEN
        if given != wanted:
            raise flight.FlightUnauthenticatedError("who is calling?")
        return GivesToken()


class GivesToken(flight.ServerMiddleware):
    def sending_headers(self):
        return {"authorization": "Bearer " + TOKEN}


def options(certificates):
    """What a server is made with to be such a one."""
    return {
        "tls_certificates": [certificates.server],
        "verify_client": True,
        "root_certificates": certificates.authority,
        "auth_handler": Greeting(),
        "middleware": {"who": WhoIsCalling()},
    }


def table(location, certificates):
    """What a client has to know of it."""
    certificate, key = certificates.client
    values = {
        "url": location,
        "authority": certificates.authority.decode(),
        "certificate": certificate.decode(),
        "key": key.decode(),
        "user": USER,
        "password": PASSWORD,
    }
    schema = pa.schema([pa.field(name, pa.utf8(), False) for name in values])
    return pa.table([pa.array([value], pa.utf8()) for value in values.values()], schema=schema)

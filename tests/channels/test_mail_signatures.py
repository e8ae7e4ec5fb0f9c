from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Message, Receipt
from channels.email import EmailSettings
from channels.wire.mime import MailFrame
from support.mail_channel import AT, channel_to, email_settings, mails
from support.smtp_server import smtp_server

PERL = shutil.which("perl")
VERIFIER = """
use Mail::DKIM::Verifier; use Net::DNS;
no warnings 'redefine';
my $record = shift @ARGV;
my @text = unpack('(A200)*', $record);
*Mail::DKIM::DNS::query = sub { (Net::DNS::RR->new(name => $_[0], type => 'TXT', txtdata => [@text])) };
my $verifier = Mail::DKIM::Verifier->new(); binmode STDIN;
{ local $/; $verifier->PRINT(<STDIN>); } $verifier->CLOSE; print $verifier->result_detail;
"""


@dataclass(frozen=True)
class Key:
    """A pair of keys and how the DNS tells of the public one."""

    pem: str
    private: Any
    record: str


def rsa_key(bits: int = 2048) -> Key:
    """A fresh RSA pair."""
    private = rsa.generate_private_key(65537, bits)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(pem_of(private), private, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}")


def ed25519_key() -> Key:
    """A fresh ed25519 pair."""
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Key(pem_of(private), private, f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}")


def pem_of(private: Any) -> str:
    """A private key as an administrator has it in a file."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA, ED25519 = rsa_key(), ed25519_key()
KEYS = {"rsa1": RSA, "ed1": ED25519}


def frame(*selectors: str, **changes: Any) -> MailFrame:
    """A frame that signs with these keys."""
    keys = [{"selector": selector, "key": KEYS[selector].pem} for selector in selectors]
    return MailFrame.of(email_settings(1, dkim=keys, **changes))


def signed(*selectors: str, **changes: Any) -> bytes:
    """A mail signed with these keys."""
    fields: dict[str, Any] = {"key": "k1", "to": "reader@example.com", "text": "内容\n\n", "at": AT}
    return frame(*selectors).build(Message(**(fields | {"subject": "提醒", "html": "<p>内 容</p>"} | changes))).content


def accepted_by_dkimpy(content: bytes) -> list[bool]:
    """What the usual library says of each signature."""

    def dns(name: bytes, timeout: int = 5) -> bytes:
        del timeout
        return KEYS[name.decode().partition(".")[0]].record.encode()

    mail = dkim.DKIM(content)
    try:
        return [mail.verify(number, dnsfunc=dns) for number in range(content.count(b"DKIM-Signature:"))]
    except dkim.DKIMException:
        return [False]


@pytest.mark.parametrize("selectors", [("rsa1",), ("ed1",), ("rsa1", "ed1")], ids="+".join)
async def test_mails_arrive_signed(selectors: tuple[str, ...]) -> None:
    """What a server has received is accepted by the usual DKIM library, with each key and with both."""
    keys = [{"selector": selector, "key": KEYS[selector].pem} for selector in selectors]
    async with smtp_server() as server, channel_to(server.port, dkim=keys) as channel:
        outcomes = await channel.send_many(mails(3))
        assert all(isinstance(one, Receipt) for one in outcomes)
        assert [accepted_by_dkimpy(content) for content in server.contents] == [[True] * len(selectors)] * 3


@given(
    subject=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80),
    text=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_every_mail_is_signed_rightly(subject: str, text: str) -> None:
    """Whatever the subject and the text, the ed25519 signature holds."""
    assert accepted_by_dkimpy(signed("ed1", subject=subject, text=text)) == [True]


@pytest.mark.skipif(
    PERL is None or subprocess.run([PERL, "-MMail::DKIM", "-e", "1"], check=False, capture_output=True).returncode != 0,  # noqa: S603  # ours
    reason="Perl's Mail::DKIM is not installed (scripts/install-test-servers.sh)",
)
@pytest.mark.parametrize(("change", "verdict"), [((b"", b""), "pass"), ((b"Date: Mon", b"Date: Tue"), "fail")])
def test_perl_s_verifier_agrees(change: tuple[bytes, bytes], verdict: str) -> None:
    """Mail::DKIM, which SpamAssassin uses, accepts the RSA signature, and refuses it once a header was changed."""
    content = signed("rsa1").replace(*change)
    command = [str(PERL), "-e", VERIFIER, RSA.record]
    said = subprocess.run(command, input=content, capture_output=True, check=True)  # noqa: S603  # ours
    assert said.stdout.decode().startswith(verdict), said


def tags(content: bytes) -> dict[str, str]:
    """The tags of the first signature."""
    folded = re.match(rb"DKIM-Signature:((?:.*\r\n[ \t])*.*)\r\n", content)
    assert folded is not None
    return dict(part.split("=", 1) for part in re.sub(r"\s+", "", folded[1].decode()).split(";"))


@pytest.mark.parametrize("selector", ["rsa1", "ed1"])
def test_the_signature_by_hand(selector: str) -> None:
    """Worked out step by step from RFC 6376 and RFC 8463: what is hashed, and that the key signed just that."""
    content = signed(selector)
    found = tags(content)
    head, body = content.split(b"\r\n\r\n", 1)
    fields: dict[str, list[str]] = {}
    for line in re.sub(rb"\r\n[ \t]+", b" ", head).decode().split("\r\n"):
        name, value = line.split(":", 1)
        plain = re.sub(r"[ \t]+", " ", value).strip()
        fields.setdefault(name.lower(), []).append(f"{name.lower()}:{plain}")
    assert found["bh"] == base64.b64encode(hashlib.sha256(body.rstrip(b"\r\n") + b"\r\n").digest()).decode()
    covered = [fields[name].pop() for name in found["h"].split(":") if fields.get(name)]
    own = re.sub(r"b=[A-Za-z0-9+/= ]+$", "b=", fields["dkim-signature"][0])
    data = "\r\n".join([*covered, own]).encode()
    signature = base64.b64decode(found["b"])
    public = KEYS[selector].private.public_key()
    if selector == "rsa1":
        public.verify(signature, data, padding.PKCS1v15(), SHA256())
    else:
        public.verify(signature, hashlib.sha256(data).digest())
    with pytest.raises(InvalidSignature):
        ED25519.private.public_key().verify(b"x" * 64, data)


def test_what_is_covered_and_what_nobody_may_add() -> None:
    """From, To, Subject and Date are signed and closed: a second one makes the signature invalid."""
    content = signed("ed1")
    assert {"from", "to", "subject", "date", "message-id", "content-type", "mime-version"} <= set(
        tags(content)["h"].split(":")
    )
    for added in (b"From: x@example.com", b"Subject: x", b"Reply-To: x@example.com", b"Cc: x@example.com"):
        head, body = content.split(b"\r\n\r\n", 1)
        assert accepted_by_dkimpy(head + b"\r\n" + added + b"\r\n\r\n" + body) == [False]
    assert accepted_by_dkimpy(content.replace(b"base64", b"base 64")) == [False]


def test_a_resend_is_the_same_to_the_byte() -> None:
    """Signing adds nothing that changes from one sending to the next."""
    assert signed("rsa1", "ed1") == signed("rsa1", "ed1")


def test_the_domain_is_the_sender_s_unless_given() -> None:
    """`d=` is the domain of From, or the one written, in ASCII."""
    assert tags(signed("ed1"))["d"] == "example.com"
    key = {"selector": "ed1", "key": ED25519.pem, "domain": "信访.example.com"}
    content = MailFrame.of(email_settings(1, dkim=key)).build(mails(1)[0]).content
    assert tags(content)["d"] == "信访.example.com".encode("idna").decode()


def test_an_ed25519_seed_is_a_key_too() -> None:
    """The base64 seed that dknewkey writes is taken as it stands."""
    seed = base64.b64encode(ED25519.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()
    key = {"selector": "ed1", "key": f"{seed}\n"}
    assert accepted_by_dkimpy(MailFrame.of(email_settings(1, dkim=key)).build(mails(1)[0]).content) == [True]


SHORT = "-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----"
WRONG_KEYS = [
    ({"selector": "s", "key": SHORT}, "no private key"),
    ({"selector": "s", "key": "hunter2"}, "no private key"),
    ({"selector": "s", "key": pem_of(ec.generate_private_key(ec.SECP256R1()))}, "RSA or an Ed25519"),
    ({"selector": "s s", "key": ED25519.pem}, "letters, digits"),
    ({"selector": "s"}, "required"),
]


@pytest.mark.parametrize(("key", "named"), WRONG_KEYS)
def test_a_wrong_key_is_found_before_anything_is_sent(key: dict[str, str], named: str) -> None:
    """`duban check` says what is wrong with the key, and never quotes it."""
    sender = {"address": "duban@example.com"}
    with pytest.raises(ValueError, match=named) as caught:
        EmailSettings.model_validate({"host": "relay.example", "from": sender, "dkim": key})
    assert all("hunter2" not in problem["msg"] for problem in caught.value.errors())  # type: ignore[attr-defined]

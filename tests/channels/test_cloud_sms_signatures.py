from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from alibabacloud_openapi_util.client import Client
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.common.abstract_client import AbstractClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.http.request import RequestInternal
from tencentcloud.common.profile.client_profile import ClientProfile

from channels.wire.aliyun_sms import authorization as aliyun_authorization
from channels.wire.aliyun_sms import canonical_query
from channels.wire.huawei_sms import wsse
from channels.wire.mas_sms import mac
from channels.wire.tencent_sms import authorization as tencent_authorization
from support.cloud_sms_servers import AliyunRequest

EMPTY = hashlib.sha256(b"").hexdigest()
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9.]{0,9}", fullmatch=True)
SECRETS = st.from_regex(r"[A-Za-z0-9]{1,40}", fullmatch=True)


def test_the_published_example_of_aliyun() -> None:
    """The example of the manual (V3 版本请求体&签名机制, RunInstances) gives the signature printed there."""
    query = canonical_query(
        {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    )
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    signed = aliyun_authorization(query, headers, "YourAccessKeyId", "YourAccessKeySecret")
    assert signed == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


@given(fields=st.dictionaries(NAMES, WORDS, max_size=6), secret=SECRETS, nonce=st.text("0123456789abcdef"))
def test_aliyun_signs_as_its_own_library(fields: dict[str, str], secret: str, nonce: str) -> None:
    """Whatever the fields hold, the header is the one 阿里云's library makes, byte for byte."""
    headers = {
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": "2026-09-28T01:30:00Z",
        "x-acs-signature-nonce": nonce,
        "x-acs-version": "2017-05-25",
    }
    theirs = Client.get_authorization(
        AliyunRequest("POST", "/", fields, headers), "ACS3-HMAC-SHA256", EMPTY, "key", secret
    )
    assert aliyun_authorization(canonical_query(fields), headers, "key", secret) == theirs


class _SigningClient(AbstractClient):
    """腾讯云's client, asked for its signature only."""

    _service = "sms"
    _apiVersion = "2021-01-11"  # noqa: N815  # theirs
    _endpoint = "sms.tencentcloudapi.com"


@given(
    body=st.binary(max_size=200),
    secret=SECRETS,
    at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # bounds are naive
)
def test_tencent_signs_as_its_own_library(body: bytes, secret: str, at: datetime) -> None:
    """Whatever the body and the instant, the signature is the one 腾讯云's library makes, over midnight UTC too."""
    client = _SigningClient(Credential("key", secret), "ap-guangzhou", ClientProfile())
    asked = RequestInternal("sms.tencentcloudapi.com", "POST", "/")
    asked.data = body
    asked.header = {"Content-Type": "application/json", "Host": "sms.tencentcloudapi.com"}
    asked.header["X-TC-Timestamp"] = str(int(at.timestamp()))
    theirs = client._get_tc3_signature({}, asked, at.strftime("%Y-%m-%d"), "sms", secret)
    ours = tencent_authorization(body, "sms.tencentcloudapi.com", at, "key", secret)
    assert ours == (
        f"TC3-HMAC-SHA256 Credential=key/{at:%Y-%m-%d}/sms/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={theirs}"
    )


def test_huawei_puts_hexadecimal_digits_into_base64() -> None:
    """As in the manual's example (NDA1MWIw… is 4051b0…); this digest was worked out with sha256sum and base64."""
    header = wsse("app", "secret", "ac1c911c4792492687f8f6b2264a491e", "2018-05-26T00:35:30Z")
    assert header == (
        'UsernameToken Username="app",PasswordDigest="'
        'NDY0MmJiMzg3ODIyNDI1NjlkMzRmOGY2MjBmNjljMjk0MTU2NjMwMDUxN2YxYWYxMzAzNGZmZmJmYjY3OWM3Yg==",'
        'Nonce="ac1c911c4792492687f8f6b2264a491e",Created="2018-05-26T00:35:30Z"'
    )


def test_mas_joins_its_fields_without_anything_between() -> None:
    """The digest is the MD5 in small letters of the fields one after the other, in UTF-8."""
    fields = ["某市信访局", "duban", "secret", "13800000001", "提醒", "signId", ""]
    assert mac(fields) == hashlib.md5("某市信访局dubansecret13800000001提醒signId".encode()).hexdigest()  # noqa: S324  # theirs

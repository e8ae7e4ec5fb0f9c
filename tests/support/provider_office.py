"""The invented office over one provider of text messages: settings for each, and what the provider has taken."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from support.cloud_sms_servers import KEY_ID, SECRET, AliyunServer, HuaweiServer, MasServer, TencentServer
from support.running_office import SHANGHAI, running_office
from support.sms_gateway import SmsGateway, running
from support.twilio_server import ACCOUNT, TOKEN, TwilioServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from support.office import Office
    from support.running_office import Running
    from support.sms_gateway import FaultyServer

FIELDS = {"reference": "{reference}", "text": "{text}", "mark": "{possible_duplicate}"}
TEMPLATES = {"*": {"id": "SMS_1", "state": "approved", "variables": {"text": "{text}"}}}
LISTED = {"*": {"id": "1", "state": "approved", "variables": ["{text}"]}}


def http(url: str, **more: Any) -> dict[str, Any]:
    """A gateway that cannot be asked, unless `more` says how."""
    body = {"format": "json", "content": FIELDS}
    return {"type": "http", "url": f"{url}/sms", "body": body, "success": {"json": {"code": "0"}}, **more}


def asked_http(url: str) -> dict[str, Any]:
    """A gateway that can be asked by our reference."""
    present, absent = {"json": {"found": True}}, {"json": {"found": False}}
    return http(url, lookup={"url": f"{url}/sms/{{reference}}", "present": present, "absent": absent})


def twilio(url: str) -> dict[str, Any]:
    """Twilio is asked by number, text and time."""
    return {"type": "twilio", "account_sid": ACCOUNT, "auth_token": TOKEN, "from": "+15005550006", "base_url": url}


def aliyun(url: str) -> dict[str, Any]:
    """阿里云 is asked by our reference."""
    keys = {"access_key_id": KEY_ID, "access_key_secret": SECRET, "sign_name": "某市信访局"}
    return {"type": "aliyun", **keys, "templates": TEMPLATES, "base_url": url}


def tencent(url: str) -> dict[str, Any]:
    """腾讯云 cannot be asked by our reference unless it opened that for the account."""
    keys = {"secret_id": KEY_ID, "secret_key": SECRET, "app_id": "1400000000", "sign_name": "某市信访局"}
    return {"type": "tencent", **keys, "templates": LISTED, "base_url": url}


def huawei(url: str) -> dict[str, Any]:
    """华为云 cannot be asked."""
    keys = {"app_key": KEY_ID, "app_secret": SECRET, "from": "8820000000000"}
    return {"type": "huawei", **keys, "templates": LISTED, "base_url": url}


def mas(url: str) -> dict[str, Any]:
    """云MAS cannot be asked."""
    keys = {"ec_name": "某市信访局", "ap_id": "duban", "secret_key": SECRET, "sign": "signId"}
    return {"type": "mas", **keys, "base_url": url}


ASKED = {"http": (SmsGateway, asked_http), "twilio": (TwilioServer, twilio), "aliyun": (AliyunServer, aliyun)}
NOT_ASKED = {
    "http": (SmsGateway, http),
    "tencent": (TencentServer, tencent),
    "huawei": (HuaweiServer, huawei),
    "mas": (MasServer, mas),
}


@asynccontextmanager
async def office_with(folder: Path, store_url: str, server: FaultyServer, settings: Any) -> AsyncGenerator[Running]:
    """One case just assigned, text messages only, over this provider."""
    async with running(server):

        def prepare(office: Office) -> None:
            office.change("policies/office.yaml", "via: [sms, email]", "via: [sms]")
            office.put_channel("sms", settings(server.url) | {"timeout": 2})

        yesterday = datetime.now(SHANGHAI) - timedelta(days=1)  # providers live by the real clock
        now = f"{yesterday:%Y-%m-%d} 10:00"
        async with running_office(folder, store_url, now=now, arrived=now, prepare=prepare) as office:
            yield office


async def later(office: Running) -> None:
    """When it is looked at again."""
    await office.work(f"{office.clock.now().astimezone(SHANGHAI) + timedelta(minutes=2):%Y-%m-%d %H:%M}")


def taken(server: Any) -> list[str]:
    """What the provider has taken."""
    kept: list[dict[str, Any]] = server.sent if hasattr(server, "sent") else server.messages
    return [str(one) for one in kept]

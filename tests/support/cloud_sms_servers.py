"""The SMS interfaces of four clouds on loopback: each checks the signature by other means than ours.

阿里云 and 腾讯云 are checked with their own libraries, 华为云 and 云MAS as their published examples do it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from aiohttp import web
from alibabacloud_openapi_util.client import Client as AliyunSignature
from tencentcloud.common.sign import Sign as TencentSignature

from support.sms_gateway import Fault, FaultyServer

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "not-a-real-secret"
KEY_ID = "not-a-real-key"
NUMBER = "13800000001"
BEIJING = ZoneInfo("Asia/Shanghai")


# --- 阿里云 ---------------------------------------------------------------------------------------------------


def aliyun_error(code: str, status: int = 200, said: str = "", headers: Mapping[str, str] | None = None) -> Fault:
    """An error as 阿里云 words it, with the number in it."""
    body = {"Code": code, "Message": said or f"{NUMBER} 不行", "RequestId": "R"}
    return Fault(status, json.dumps(body), headers or {})


class AliyunServer(FaultyServer):
    """SendSms and QuerySendDetails."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, str]] = []
        self.asked: list[dict[str, str]] = []
        self.calls: list[dict[str, str]] = []
        self.on_record: list[dict[str, Any]] = []  # what QuerySendDetails tells; `day` is its SendDate
        self.recording = True
        self.status = 1

    def routes(self) -> list[web.RouteDef]:
        """One address for everything."""
        return [web.post("/", self._take)]

    async def _take(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        if not self._signed(request):
            return await self.spoil(request, aliyun_error("SignatureDoesNotMatch", 400))
        action, fields = request.headers["x-acs-action"], dict(request.query)
        if action == "QuerySendDetails":
            self.asked.append(fields)
            return await self.spoil(request, fault) if fault is not None else self._details(fields)
        if action == "SingleCallByTts":
            if fault is None or fault.taken:
                self.calls.append(fields)
            if fault is not None:
                return await self.spoil(request, fault)
            return web.json_response({"Code": "OK", "Message": "OK", "CallId": f"C{len(self.calls)}^0"})
        if fault is None or fault.taken:
            self._keep(fields, datetime.fromisoformat(request.headers["x-acs-date"]).astimezone(BEIJING))
        if fault is not None:
            return await self.spoil(request, fault)
        return web.json_response({"Code": "OK", "Message": "OK", "BizId": f"B{len(self.sent)}^0", "RequestId": "R"})

    def _keep(self, fields: dict[str, str], at: datetime) -> None:
        self.sent.append(fields)
        if self.recording:
            self.record(fields["OutId"], self.status, at.strftime("%Y%m%d"), fields["PhoneNumbers"])

    def record(self, out_id: str, status: int, day: str, number: str = NUMBER) -> None:
        """Put a message on record for that day of Beijing (20260928)."""
        self.on_record.append({"OutId": out_id, "SendStatus": status, "PhoneNum": number, "day": day})

    def _details(self, fields: dict[str, str]) -> web.Response:
        wanted = (fields["PhoneNumber"], fields["SendDate"])
        found = [one for one in reversed(self.on_record) if (one["PhoneNum"], one["day"]) == wanted]
        size, page = int(fields["PageSize"]), int(fields["CurrentPage"])
        shown = [{name: one[name] for name in one if name != "day"} for one in found[(page - 1) * size : page * size]]
        body = {"Code": "OK", "TotalCount": len(found), "SmsSendDetailDTOs": {"SmsSendDetailDTO": shown}}
        return web.json_response(body)

    def _signed(self, request: web.Request) -> bool:
        names = re.search(r"SignedHeaders=([^,]*)", request.headers["Authorization"])
        assert names is not None
        asked = AliyunRequest("POST", "/", dict(request.query), {n: request.headers[n] for n in names[1].split(";")})
        payload = request.headers["x-acs-content-sha256"]
        wanted = AliyunSignature.get_authorization(asked, "ACS3-HMAC-SHA256", payload, KEY_ID, SECRET)
        return bool(wanted == request.headers["Authorization"])


class AliyunRequest:
    """What 阿里云's library signs."""

    def __init__(self, method: str, pathname: str, query: dict[str, str], headers: dict[str, str]) -> None:
        self.method, self.pathname, self.query, self.headers = method, pathname, query, headers


# --- 腾讯云 ---------------------------------------------------------------------------------------------------


def tencent_error(code: str, status: int = 200) -> Fault:
    """An error of the whole request, as 腾讯云 words it."""
    return Fault(status, json.dumps({"Response": {"Error": {"Code": code, "Message": NUMBER}, "RequestId": "R"}}))


def tencent_refusal(code: str) -> Fault:
    """An error of the one number in the request."""
    one = {"SerialNo": "", "PhoneNumber": f"+86{NUMBER}", "Fee": 0, "Code": code, "Message": NUMBER}
    return Fault(200, json.dumps({"Response": {"SendStatusSet": [one], "RequestId": "R"}}))


class TencentServer(FaultyServer):
    """SendSms and PullSmsSendStatusByPhoneNumber."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.reporting = ""  # SUCCESS or FAIL: reported as soon as it is taken

    def routes(self) -> list[web.RouteDef]:
        """One address for everything."""
        return [web.post("/", self._take)]

    def report(self, session: str, status: str) -> None:
        """What a carrier says of a message."""
        self.reports.append({"SessionContext": session, "ReportStatus": status, "SerialNo": "S1"})

    async def _take(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        body = await request.read()
        if not _tencent_signed(request, body):
            return await self.spoil(request, tencent_error("AuthFailure.SignatureFailure"))
        fields = json.loads(body)
        if request.headers["X-TC-Action"] == "PullSmsSendStatusByPhoneNumber":
            self.asked.append(fields)
            if fault is not None:
                return await self.spoil(request, fault)
            return web.json_response({"Response": {"PullSmsSendStatusSet": self.reports, "RequestId": "R"}})
        if fault is None or fault.taken:
            self.sent.append(fields)
            if self.reporting:
                self.report(fields["SessionContext"], self.reporting)
        if fault is not None:
            return await self.spoil(request, fault)
        one = {"SerialNo": f"S{len(self.sent)}", "Fee": 2, "Code": "Ok", "Message": "send success"}
        return web.json_response({"Response": {"SendStatusSet": [one], "RequestId": "R"}})


def _tencent_signed(request: web.Request, body: bytes) -> bool:
    """The signature worked out again as 腾讯云's library does it, with its own function for the key."""
    names = "content-type;host"
    lines = f"content-type:{request.headers['Content-Type']}\nhost:{request.headers['Host']}\n"
    asked = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    stamp = request.headers["X-TC-Timestamp"]
    day = datetime.fromtimestamp(int(stamp), ZoneInfo("UTC")).strftime("%Y-%m-%d")
    material = f"TC3-HMAC-SHA256\n{stamp}\n{day}/sms/tc3_request\n{hashlib.sha256(asked.encode()).hexdigest()}"
    wanted = TencentSignature.sign_tc3(SECRET, day, "sms", material)
    return request.headers["Authorization"].endswith(f"Signature={wanted}")


# --- 华为云 ---------------------------------------------------------------------------------------------------


def huawei_error(code: str, status: str = "", http: int = 400) -> Fault:
    """An error as 华为云 words it; `status` is what it says of the one number."""
    told: dict[str, Any] = {"code": code, "description": f"+86{NUMBER}"}
    if status:
        told["result"] = [{"originTo": f"+86{NUMBER}", "status": status, "smsMsgId": ""}]
    return Fault(http, json.dumps(told))


class HuaweiServer(FaultyServer):
    """batchSendSms."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        """Sending is all there is."""
        return [web.post("/sms/batchSendSms/v1", self._take)]

    async def _take(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        fields = {name: str(value) for name, value in (await request.post()).items()}
        if not _huawei_signed(request):
            return await self.spoil(request, huawei_error("E000105", http=401))
        if fault is None or fault.taken:
            self.sent.append(fields)
        if fault is not None:
            return await self.spoil(request, fault)
        one = {"originTo": fields["to"], "smsMsgId": f"H{len(self.sent)}", "status": "000000", "total": 2}
        return web.json_response({"code": "000000", "description": "Success", "result": [one]})


def _huawei_signed(request: web.Request) -> bool:
    """As the Python example of 华为云 builds it: base64 of the hexadecimal SHA-256 of nonce, time and secret."""
    if request.headers["Authorization"] != 'WSSE realm="SDP",profile="UsernameToken",type="Appkey"':
        return False
    found = re.fullmatch(
        r'UsernameToken Username="(.*?)",PasswordDigest="(.*?)",Nonce="(.*?)",Created="([0-9-]{10}T[0-9:]{8}Z)"',
        request.headers["X-WSSE"],
    )
    if found is None:
        return False
    digest = hashlib.sha256((found[3] + found[4] + SECRET).encode()).hexdigest()
    return found[1] == KEY_ID and found[2] == base64.b64encode(digest.encode()).decode()


# --- 云MAS ---------------------------------------------------------------------------------------------------


def mas_error(code: str) -> Fault:
    """An error as 云MAS words it."""
    return Fault(200, json.dumps({"mgsGroup": "", "rspcod": code, "success": False}))


class MasServer(FaultyServer):
    """norsubmit and tmpsubmit."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.paths: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        """The plain and the templated interface."""
        return [web.post("/sms/norsubmit", self._take), web.post("/sms/tmpsubmit", self._take)]

    async def _take(self, request: web.Request) -> web.StreamResponse:
        fault = self.next_fault()
        fields = json.loads(base64.b64decode(await request.read()))
        if fields["mac"] != _mas_mac(fields, plain=request.path.endswith("norsubmit")):
            return await self.spoil(request, mas_error("IllegalMac"))
        if fault is None or fault.taken:
            self.sent.append(fields)
            self.paths.append(request.path)
        if fault is not None:
            return await self.spoil(request, fault)
        return web.json_response({"mgsGroup": f"M{len(self.sent)}", "rspcod": "success", "success": True})


def _mas_mac(fields: Mapping[str, str], *, plain: bool) -> str:
    said = ("mobiles", "content") if plain else ("templateId", "mobiles", "params")
    material = fields["ecName"] + fields["apId"] + SECRET
    material += "".join(fields[name] for name in said) + fields["sign"] + fields["addSerial"]
    return hashlib.md5(material.encode(), usedforsecurity=False).hexdigest().lower()

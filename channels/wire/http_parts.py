"""Parts of the description of a gateway that requests and calls have in common: bodies, and values worked out."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Charset = Literal["utf-8", "gbk", "gb18030"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Computed(_Strict):
    """One value worked out before the request, such as a signature; usable afterwards as `{name}`.

    The material is either `concat`, joined by `join`, or `sorted`: fields put in the order of their names and written
    `name=value&name=value`, percent-encoded if `percent` is set. Without a digest the material itself is the value.
    """

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    concat: list[str] | None = None
    sorted_fields: dict[str, str] | None = Field(default=None, alias="sorted")
    join: str = ""
    percent: bool = False
    digest: Literal["none", "md5", "sha1", "sha256", "hmac-sha1", "hmac-sha256"] = "none"
    key: str | None = None
    encode: Literal["hex", "base64", "none"] = "none"
    letters: Literal["as_is", "lower", "upper"] = "as_is"

    @model_validator(mode="after")
    def _whole(self) -> Computed:
        if (self.concat is None) == (self.sorted_fields is None):
            raise ValueError("concat 与 sorted 必须写且只写一个 / give exactly one of concat and sorted")
        if self.digest != "none" and self.encode == "none":
            raise ValueError("有 digest 就要写 encode: hex 或 base64 / a digest needs encode: hex or base64")
        if self.digest.startswith("hmac") != (self.key is not None):
            raise ValueError("key 只用于 hmac，且 hmac 必须有 key / key belongs to hmac, and hmac needs one")
        return self


class Body(_Strict):
    """What the request carries. `wrap: base64` encodes the finished body once more."""

    format: Literal["json", "form", "xml", "text"]
    content: JsonValue
    charset: Charset = "utf-8"
    wrap: Literal["none", "base64"] = "none"
    content_type: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Body:
        content = self.content
        if self.format == "text" and not isinstance(content, str):
            raise ValueError("format: text 的 content 应为文字 / content of format text is a string")
        if self.format == "form" and not isinstance(content, dict):
            raise ValueError("format: form 的 content 应为键值 / content of format form is a mapping")
        if self.format == "xml" and not (isinstance(content, dict) and len(content) == 1):
            raise ValueError("format: xml 的 content 应有且只有一个根元素 / content of format xml has one root element")
        return self

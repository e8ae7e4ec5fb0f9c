"""What the settings of the built-in channels mean, in both languages, where their models do not say it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.text import Text

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_OF_ALL = {
    "connect_timeout": Text("连接最多等几秒", "seconds to wait for the connection"),
    "timeout": Text("一次请求最多等几秒", "seconds to wait for one request"),
    "concurrency": Text("同时发几条", "how many are sent at the same time"),
    "rate": Text("每秒最多几条；不写不限", "messages a second at most; unlimited if left out"),
    "ca_file": Text("自己的根证书文件", "a file with your own root certificates"),
    "base_url": Text("接口地址", "address of the interface"),
    "url": Text("地址", "the address"),
    "kind": Text("用哪一类地址：sms、email 等", "which kind of address it needs: sms, email …"),
    "templates": Text("已报备的模板，按 say: 的词", "the registered templates, by the word after say:"),
    "templates.id": Text("服务商给的模板编号", "the provider's number of the template"),
    "templates.state": Text("审批情况：只有 approved 才会用", "whether it is approved; only those are used"),
    "templates.variables": Text("模板变量依次取哪些值", "which values its variables take"),
    "sign_name": Text("已报备的短信签名", "the registered signature"),
    "signature": Text("签名文字", "the words of the signature"),
    "extend_code": Text("扩展码", "extension of the sending number"),
    "status_callback": Text("回执送到哪个网址", "where receipts are called to"),
    "app_key": Text("应用的 key", "key of the application"),
    "app_secret": Text("应用的密钥", "secret of the application"),
    "secret": Text("密钥", "the secret"),
    "time_zone": Text("服务商所说时间的时区", "time zone of the provider's times"),
    "number": Text("号码怎样写：+8613…、8613…、13…", "how numbers are written: +8613…, 8613…, 13…"),
    "access_key_id": Text("AccessKey ID", "AccessKey ID"),
    "access_key_secret": Text("AccessKey 密钥", "secret of the AccessKey"),
    "account_sid": Text("账号 SID", "SID of the account"),
    "auth_token": Text("账号令牌，或 API key 的密钥", "token of the account, or secret of the API key"),
    "api_key_sid": Text("API key 的 SID", "SID of an API key"),
    "host": Text("服务器地址", "the server"),
    "port": Text("端口；不写按加密方式取", "port; if left out, the one of the encryption"),
    "username": Text("登录名", "login name"),
    "password": Text("登录密码", "password of the login"),
    "encryption": Text("加密方式", "how the connection is encrypted"),
    "login_without_encryption": Text(
        "不加密也登录（密码可被看到）", "log in without encryption (the password can be seen)"
    ),
    "pipelining": Text("一次往返发完一封信", "one round trip a mail, where offered"),
    "oauth": Text("用令牌代替密码（XOAUTH2）", "a token in place of the password (XOAUTH2)"),
    "oauth.token_file": Text("令牌文件，由别的程序更新", "file with the token, renewed by somebody else"),
    "oauth.token_command": Text("打印令牌的命令", "command that prints the token"),
    "oauth.token_url": Text("换取令牌的网址", "where a token is asked for"),
    "oauth.client_id": Text("客户端编号", "id of the client"),
    "oauth.client_secret": Text("客户端密钥", "secret of the client"),
    "oauth.refresh_token": Text("刷新令牌", "the refresh token"),
    "oauth.scope": Text("要的权限", "the scope asked for"),
    "name": Text("显示的名称", "the name shown"),
    "address": Text("邮箱", "the mailbox"),
    "method": Text("请求方法", "method of the request"),
    "headers": Text("请求头", "headers of the request"),
    "query": Text("网址后的参数", "parameters of the address"),
    "query_charset": Text("参数的编码", "charset of the parameters"),
    "body": Text("请求的内容", "what the request carries"),
    "body.format": Text("内容的格式", "format of the content"),
    "body.content": Text("内容，可用占位符", "the content, placeholders allowed"),
    "body.charset": Text("内容的编码", "charset of the content"),
    "body.wrap": Text("整个内容再编码一次", "encode the whole once more"),
    "body.content_type": Text("Content-Type 头", "the header Content-Type"),
    "compute": Text("请求前算好的值，如签名", "values worked out before, such as a signature"),
    "compute.name": Text("以后用的名字", "its name afterwards"),
    "compute.concat": Text("依次连接的文字", "texts put together"),
    "compute.sorted": Text("按名称排序的字段", "fields in the order of their names"),
    "compute.join": Text("连接时夹的文字", "what stands between them"),
    "compute.percent": Text("按网址规则编码", "percent-encoded"),
    "compute.digest": Text("摘要算法", "the digest"),
    "compute.key": Text("hmac 的密钥", "the key of an hmac"),
    "compute.encode": Text("摘要写成什么", "how the digest is written"),
    "compute.letters": Text("字母大小写", "case of letters"),
    "status": Text("哪些 HTTP 状态", "which HTTP status"),
    "json": Text("JSON 里的位置与值", "place and value in the JSON"),
    "regex": Text("正则表达式", "a regular expression"),
    "text": Text("整个回答", "the whole answer"),
    "reference": Text("回执号在回答的哪里", "where its reference stands in the answer"),
    "robot": Text("群机器人", "a group's robot"),
    "links": Text("消息里能不能带链接；不写按地址种类", "whether its texts may hold a link; if left out, as usual"),
    "replies": Text("收件人能不能回复（上行）", "whether people can answer"),
    "words": Text("替换运营商会拦的词", "neutral words in place of those a carrier stops"),
    "price": Text("一条的价格（元），只用于预测", "price of one part, for forecasts only"),
    "budget": Text("运营商与单位的额度，按 24 小时", "what carrier and office allow in any 24 hours"),
    "budget.per_person": Text("给一个人最多几条", "messages to one person"),
    "budget.same_text": Text("同样的文字给一个人最多几次", "how often one text goes to one person"),
    "budget.different_texts": Text("给一个人最多几种文字", "how many different texts go to one person"),
    "budget.total": Text("总共最多几条", "parts of all messages"),
    "budget.reserve": Text("为红灯、按小时计的留百分之几", "percent kept for what is red or counted in hours"),
}

ABOUT = {
    "aliyun": Text("阿里云短信，用已审批的模板", "阿里云短信 (Aliyun SMS), by approved templates"),
    "apprise": Text("Apprise 支持的其他服务", "whatever else Apprise can reach"),
    "dingtalk": Text("钉钉：工作通知或群机器人", "DingTalk: work notices, or a group's robot"),
    "email": Text("邮件（SMTP），退信从邮箱读回", "mail over SMTP; bounces are read from a mailbox"),
    "feishu": Text("飞书：应用发给个人的消息", "Feishu: messages of an application to people"),
    "http": Text("任何 HTTP 短信网关，在 YAML 里描述", "any SMS gateway over HTTP, described in YAML"),
    "huawei": Text("华为云消息&短信，用已审批的模板", "华为云消息&短信 (Huawei Cloud SMS), by approved templates"),
    "mas": Text("移动云MAS（HTTP），普通或模板短信", "移动云MAS over HTTP, free texts or templates"),
    "spool": Text("文件交换：隔离网络，由前置机收发", "files, for an isolated network with a machine in front"),
    "tencent": Text("腾讯云短信，用已审批的模板", "腾讯云短信 (Tencent Cloud SMS), by approved templates"),
    "twilio": Text("Twilio 短信", "SMS through Twilio"),
    "webhook": Text("签名的网络回调，交给自己的系统", "a signed webhook to a system of your own"),
    "wecom": Text("企业微信：应用发给成员的消息", "WeCom: messages of an application to members"),
}

_OF_ONE = {
    "aliyun.settle": Text(
        "丢失回答后这么久之内，不信“没有这条”", "so long after a lost answer, 'not there' is not believed"
    ),
    "apprise.url": Text("Apprise 网址，可用占位符", "the Apprise address, placeholders allowed"),
    "dingtalk.agent_id": Text("应用的 AgentId", "AgentId of the application"),
    "dingtalk.robot.access_token": Text("机器人的令牌", "token of the robot"),
    "dingtalk.robot.secret": Text("机器人的加签密钥", "signing secret of the robot"),
    "dingtalk.robot.per_minute": Text("每分钟最多几条", "messages a minute at most"),
    "dingtalk.confirm_after": Text("几秒后查发送结果", "seconds until it is asked what became of it"),
    "email.from": Text("发件人", "the sender"),
    "email.reply_to": Text("回信给谁", "where answers go"),
    "email.bounces_to": Text("退信给谁；不写给发件人", "where bounces go; the sender if left out"),
    "email.bounce_mailbox": Text("读退信和回信的邮箱（IMAP）", "the mailbox of bounces and replies (IMAP)"),
    "email.delivery_reports": Text("要哪些投递报告（DSN）", "which delivery reports are asked for (DSN)"),
    "email.dkim": Text("DKIM 签名密钥", "keys that sign the mails (DKIM)"),
    "email.dkim.selector": Text("密钥在 DNS 里的名字", "its name in the DNS"),
    "email.dkim.key": Text("私钥", "the private key"),
    "email.dkim.domain": Text("域名；不写取发件人的", "the domain; the sender's if left out"),
    "email.unsubscribe": Text("退订头 List-Unsubscribe", "the header List-Unsubscribe"),
    "email.unsubscribe.mail": Text("退订邮箱", "mailbox for it"),
    "email.unsubscribe.url": Text("退订网址", "address for it"),
    "email.unsubscribe.one_click": Text("网址可一键退订（RFC 8058）", "the address takes one click (RFC 8058)"),
    "email.per_minute": Text("各收件域名每分钟最多几封", "mails a minute to each recipient domain"),
    "email.domain": Text("Message-ID 的域名", "domain of the Message-ID"),
    "email.hello_name": Text("EHLO 时报的名字", "the name said in EHLO"),
    "email.connections": Text("同时几个连接", "how many connections"),
    "email.command_timeout": Text("每条命令最多等几秒", "seconds to wait for each command"),
    "email.body_timeout": Text("正文发完后最多等几秒", "seconds to wait after the body"),
    "email.idle_seconds": Text("闲置几秒后重连", "seconds after which an idle connection is replaced"),
    "email.fallbacks": Text("后备服务器，依次使用", "further servers, in their order"),
    "email.rest_seconds": Text("坏了的服务器歇几秒再试", "seconds a failed server is left alone"),
    "feishu.app_id": Text("应用的 App ID", "App ID of the application"),
    "feishu.receive_id_type": Text("人员地址是哪一种编号", "which id the addresses are"),
    "http.values": Text("自己定义的占位符", "placeholders of your own"),
    "http.secrets": Text("自己定义的密码占位符", "placeholders that are secrets"),
    "http.basic_auth": Text("HTTP 登录：用户:密码", "HTTP login: user:password"),
    "http.success": Text("怎样的回答算已受理", "what an answer looks like that took the message"),
    "http.code": Text("服务商代码在回答的哪里", "where the provider's code stands"),
    "http.errors": Text("服务商的代码各是什么意思", "what the provider's codes mean"),
    "http.errors.temporary": Text("稍后再试的", "worth trying again"),
    "http.errors.permanent": Text("再试无用的", "useless to try again"),
    "http.errors.whole_channel": Text("整个通道都不行的", "no message gets out"),
    "http.errors.unknown": Text("可能已发出的", "perhaps sent"),
    "http.errors.unlisted": Text("没有列出的算哪一种", "what any other code is"),
    "http.unknown_status": Text("哪些 HTTP 状态算可能已发出", "which HTTP status means perhaps sent"),
    "http.lookup": Text("怎样查一条消息发了没有", "how to ask for one message"),
    "http.lookup.present": Text("怎样的回答算已有", "an answer that says it is there"),
    "http.lookup.absent": Text("怎样的回答算没有", "an answer that says it is not"),
    "http.lookup.delivered": Text("怎样的回答算已送达", "an answer that says it has arrived"),
    "huawei.from": Text("签名通道号", "number of the signature's line"),
    "mas.ec_name": Text("集团客户名称", "name of the customer"),
    "mas.ap_id": Text("接口账号", "the interface account"),
    "mas.secret_key": Text("接口密码", "its password"),
    "mas.sign": Text("签名编码", "number of the signature"),
    "mas.signature": Text("签名文字：平台会自己加，发前去掉", "its words: taken off, the platform adds them"),
    "mas.add_serial": Text("扩展码", "extension of the sending number"),
    "mas.plain_path": Text("普通短信接口的路径", "path for free texts"),
    "mas.template_path": Text("模板短信接口的路径", "path for templates"),
    "mas.base_url": Text("平台显示的地址和端口", "address and port as the platform shows them"),
    "spool.directory": Text("文件放在哪个目录", "the folder of the files"),
    "tencent.secret_id": Text("SecretId", "SecretId"),
    "tencent.secret_key": Text("SecretKey", "SecretKey"),
    "tencent.app_id": Text("短信应用的 SmsSdkAppId", "SmsSdkAppId of the application"),
    "tencent.region": Text("地域", "the region"),
    "tencent.session_in_reports": Text(
        "腾讯已为本应用开通回执带 SessionContext", "Tencent has opened SessionContext in the reports"
    ),
    "twilio.from": Text("发送号码", "the sending number"),
    "twilio.messaging_service_sid": Text("消息服务的 SID，代替发送号码", "a messaging service in place of a number"),
    "twilio.validity_period": Text("几秒后不再投递", "seconds after which it is not delivered any more"),
    "webhook.old_secret": Text("旧密钥，换的时候两个都签", "the secret before, while it is being changed"),
    "webhook.event": Text("事件的类型", "the type of the event"),
    "wecom.corp_id": Text("企业 ID", "id of the company"),
    "wecom.agent_id": Text("应用的 AgentId", "AgentId of the application"),
    "wecom.message": Text("消息的样式", "what the message looks like"),
    "wecom.title": Text("卡片的标题", "title of a card"),
    "wecom.link": Text("卡片打开的网址", "what a card opens"),
    "wecom.button": Text("卡片按钮的文字", "the button of a card"),
    "wecom.per_person_per_minute": Text("每人每分钟最多几条", "messages a minute to one person at most"),
}


def meaning_of(type_name: str, path: tuple[str, ...], field: FieldInfo) -> Text:
    """What a key means: as its model says in both languages, else as written here, else what the model says in one."""
    described = field.description or ""
    zh, divided, en = described.partition(" / ")
    if divided:
        return Text(zh.strip(), en.strip())
    for begin in range(len(path)):
        tail = ".".join(path[begin:])
        if begin == 0 and f"{type_name}.{tail}" in _OF_ONE:
            return _OF_ONE[f"{type_name}.{tail}"]
        if tail in _OF_ALL:
            return _OF_ALL[tail]
    nested = _OF_ONE.get(f"{type_name}.{path[-1]}")
    return nested or Text(described, described)

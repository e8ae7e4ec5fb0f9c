"""What things are called in messages: roles, steps, lights, documents; and the words after `say:` that are ours."""

from __future__ import annotations

from policies.text import Text

STANDARD = "standard"
ENGLISH = "en"
UNACKNOWLEDGED = "unacknowledged"
UNACTED = "unacted"
DIGEST = "digest"
ANSWER = "answer_"  # how the texts begin that answer a reply: no step says them
SHIRKING = "shirking"

ROLE_TITLES = {
    "first_handler": Text("首办责任人", "first handler"),
    "handler": Text("承办人", "handler"),
    "section_head": Text("科室负责人", "section head"),
    "deputy_leader": Text("分管领导", "deputy leader"),
    "principal": Text("主要负责人", "principal"),
    "inspector": Text("督查专员", "inspector"),
    "administrator": Text("系统管理员", "administrator"),
    "drill": Text("演练对象", "participant of the drill"),
}
DOCUMENT_TITLES = {
    "urging_note": Text("催办单", "urging note"),
    "supervision_note": Text("督办单", "supervision note"),
    "bulletin": Text("情况通报", "bulletin"),
}
STEP_TITLES = {
    "assigned": Text("新办通知", "assignment"),
    UNACKNOWLEDGED: Text("督促签收", "call for acknowledgement"),
    UNACTED: Text("签收未办", "signed for, nothing done"),
    "remind": Text("到期提醒", "reminder"),
    "today": Text("当日预警", "due-day warning"),
    "urge": Text("催办", "urging"),
    "bulletin": Text("提请通报", "bulletin"),
    "review": Text("复查", "review"),
    "no_action": Text("未见办理", "no action yet"),
    SHIRKING: Text("退回提示", "hand-backs"),
    "handback": Text("退回提示", "hand-backs"),
    "restricted": Text("限制知悉提示", "restricted notice"),
    "release_wanted": Text("待核发", "release wanted"),
    "drill": Text("通道演练", "drill"),
}
DUPLICATE_MARK = Text("〔可能重复〕", "[possible duplicate]")
COLOURS = {"green": "#2e7d32", "blue": "#1565c0", "yellow": "#b28704", "orange": "#d9680b", "red": "#c62828"}
OWN_COLOURS = {"绿": "green", "蓝": "blue", "黄": "yellow", "橙": "orange", "红": "red"}  # 蓝灯 is shown in blue
LIGHT_TITLES = {
    "green": Text("绿灯", "green"),
    "yellow": Text("黄灯", "yellow"),
    "orange": Text("橙灯", "orange"),
    "red": Text("红灯", "red"),
}

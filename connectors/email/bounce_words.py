"""What mail servers write in bounces. Data only: regular expressions, matched without regard to case; linear."""

from __future__ import annotations

DAEMONS = (
    r"mailer[-_ ]?daemon",
    r"mail[-_ ]?deliver",
    r"delivery (?:sub)?system",
    r"postmaster",
    r"double-bounce",
    r"system administrator",
    r"mail administrator",
    r"internet mail",
    r"mdaemon",
    r"mail system",
    r"returned mail",
    r"mail router",
    r"auto[-_]?mailer",
)
SUBJECTS = (
    r"undeliver",
    r"returned? (?:mail|to sender)",
    r"delivery (?:status|failure|failed|has failed|error|notification|problem|report|unsuccessful)",
    r"failure (?:notice|notification|delivery)",
    r"mail (?:delivery )?(?:failed|failure|error|problem)",
    r"message (?:delivery has )?(?:not delivered|could not be|failed|failure|delivery failure)",
    r"could ?n[o']t (?:be )?deliver",
    r"(?:cannot|unable to) deliver",
    r"(?:not |non.?)deliver",
    r"nondeliverable",
    r"user unknown",
    r"mail returned",
    r"error (?:sending|delivering)",
    r"delayed mail",
    r"warning: could not send",
    r"permanent (?:failure|error)",
    r"rejected",
    r"unzustellbar|nicht zugestellt|zustellung fehlgeschlagen",
    r"non remis|échec",
    r"no (?:se pudo|entregado)",
    r"não entregue|falha na entrega",
    r"mancata consegna",
    r"niet bezorgd",
    r"не доставлено|недоставленное",
    r"配信|送信(?:エラー|失敗)|メールエラー|送達",
    r"退信|投递失败|無法傳遞",
    r"전송.?실패|반송",
)
REGRETS = (
    r"could ?n[o']t be (?:sent|delivered)",
    r"(?:not|n't|unable to|cannot|failed to) (?:be )?(?:deliver|reach|send|process)",
    r"delivery (?:errors|failed|to the following)",
    r"did not reach",
    r"permanent (?:error|failure)",
    r"fatal errors",
    r"undeliverable",
    r"failed (?:with|permanently)",
    r"was rejected",
    r"bounced",
    r"no such user|user unknown|unknown user",
    r"error (?:message|detail|delivering)",
    r"reason (?:of|for)",
    r"mailbox is full",
    r"送信できませんでした|届けられ|配信できません|送達でき",
)
RETURNED = (
    r"(?:(?:this|below this line) is )?(?:a copy of|the (?:body|headers?) of) (?:the|your)",
    r"original[ -]message",
    r"message headers? follow",
    r"(?:unsent|returned|undelivered) message",
    r"your original",
    r"the first \d+ lines",
    r"text of (?:your|the) (?:original )?message",
    r"included is a copy",
    r"original mail as follows",
    r"message header",
    r"header of",
    r"rfc 822",
)
"""Lines behind which the returned mail begins."""

RETURNED_FIELDS = ("received", "return-path", "message-id", "dkim-signature", "x-mailer", "mime-version")

STILL_TRYING = (
    r"will (?:be retried|continue|keep|try)",
    r"do not (?:need to )?resend",
    r"warning message only",
    r"has been delayed",
    r"still trying",
)
PHRASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "5.2.2",
        (
            r"mailbox (?:is )?full",
            r"over ?quota",
            r"quota (?:is )?(?:exceeded|full)",
            r"exceeded .{0,20}quota",
            r"insufficient (?:disk )?(?:space|storage)",
            r"disk quota",
            r"storage allocation",
            r"メールボックスが一杯",
        ),
    ),
    ("5.3.4", (r"too (?:large|big)", r"exceeds? .{0,30}(?:size|limit|length)", r"size limit")),
    (
        "5.2.1",
        (
            r"(?:mailbox|account|user) .{0,30}(?:disabled|suspended|inactive|deactivated|locked|not active)",
            r"(?:disabled|inactive|suspended) (?:user|account|mailbox)",
        ),
    ),
    (
        "5.1.2",
        (
            r"(?:host|domain)(?: name)? (?:is )?(?:unknown|not found|invalid|lookup failed)",
            r"unknown (?:host|domain)",
            r"no such (?:host|domain)",
            r"unrouteable",
            r"unable to (?:resolve|look ?up)",
            r"does not accept mail",
            r"(?:name|dns) (?:service|server|lookup) (?:error|failed|fail)",
            r"couldn't find any host",
            r"no mx",
        ),
    ),
    (
        "5.1.1",
        (
            r"user (?:is )?unknown",
            r"unknown (?:user|recipient|address|account|mailbox)",
            r"no such (?:user|mailbox|recipient|address|person|account)",
            r"user not found",
            r"(?:user|mailbox|recipient|address|account|alias)\b.{0,65}(?:not found|does ?n.t exist|unknown|invalid)",
            r"(?:user|mailbox|recipient|address|account|alias)\b.{0,65}not (?:exist|listed|recognized|known|a known)",
            r"invalid (?:recipient|address|mailbox|user)",
            r"no mailbox",
            r"not listed in",
            r"not a (?:valid|known) user",
            r"unknown or illegal",
            r"doesn't have an? .{0,20}account",
            r"no account",
            r"not our customer",
            r"宛先.{0,10}(?:不明|見つかりません)",
        ),
    ),
    (
        "5.7.1",
        (r"relay(?:ing)? (?:access )?(?:denied|not (?:allowed|permitted)|prohibited)", r"not permitted to relay"),
    ),
    (
        "4.4.7",
        (
            r"timed? ?out",
            r"retry time",
            r"time(?:d)? limit",
            r"expired",
            r"too long (?:in|on) (?:the )?queue",
            r"delivery delayed",
            r"temporar(?:y|ily)",
            r"try again later",
            r"in the queue too long",
        ),
    ),
    (
        "4.4.1",
        (
            r"connection (?:refused|reset|closed|dropped|lost)",
            r"unable to connect",
            r"network (?:error|unreachable)",
            r"no route",
        ),
    ),
    (
        "5.7.1",
        (
            r"spam|virus|black ?list|block(?:ed|list)|dnsbl|rbl",
            r"policy|denied|refused|rejected|not allowed|prohibited",
        ),
    ),
)
"""Statuses (RFC 3463) that phrases stand for, in the order they are tried."""

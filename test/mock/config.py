"""The simulator's settings, changed by POST /_sim/config."""

import copy

DEFAULTS = {
    # Requests a second per endpoint and channel; 0: no limit. LINE's is 2000.
    "rate_limit": 0.0,
    # Size of the bucket; 0: as many as rate_limit.
    "rate_burst": 0.0,
    # 413 above this; LINE says "2 MB", and the strict reading is decimal.
    "max_body": 2000000,
    # Seconds between a request and its answer: a network far away.
    "latency": 0.0,
    # Close a connection after so many requests, or so long idle; 0: never.
    "keepalive_requests": 0,
    "keepalive_idle": 0.0,
    # HTTP/2: streams that a client may have open at once.
    "h2_max_streams": 100,
    # Refuse images and videos in flexible messages.
    "strict_content": True,
    # How flexible messages are checked: "schema" = also by the table that
    # line_notify uses (schema.py); "independent" = by content.py alone.
    "validation": "schema",
    # {"templates": […], "items": […], "buttons": […]}, or null: any key.
    "catalogue": None,
    # LINE counts a day during the next one; true: today is ready too.
    "counts_ready_today": False,
    # Group 1 is the message id inside the delivery tag.
    "tag_pattern": r"ln1-([0-9]+)-",
    # Life of issued tokens; v2.1: 0 means what the client asked for.
    "token_seconds": {"stateless": 900.0, "v2.1": 0.0, "short": 2592000.0},
    # expires_in as promised, if it should differ from the truth; 0: the truth.
    "token_promise": 0.0,
    # Characters of an issued token. Tokens are opaque and can be long.
    "token_length": 240,
    # Who agrees to a LINE Login.
    "login_user": "U4af4980629f0e1d2c3b4a5968778695a4",
    "webhook": {
        "mode": "queue",            # queue | spool | post | off
        "url": None,                # for post; what LINE says is set
        "ca_file": None,            # for an https URL
        "delay": 0.0,               # seconds from acceptance to the event
        "gather": 0.0,              # wait so long for more events to batch
        "batch": 100,               # events in one POST
        "timeout": 2.0,             # LINE's rule for the receiver
        "redeliveries": 0,          # further tries; 0: redelivery is off
        "redelivery_wait": 1.0,
        "duplicate": 0.0,           # share of events that come twice
        "lose": 0.0,                # share that never comes
        "shuffle": False,           # scrambled order
        "seed": 1,
    },
}

CHOICES = {"validation": ("schema", "independent"),
           "webhook.mode": ("queue", "spool", "post", "off")}


def defaults():
    return copy.deepcopy(DEFAULTS)


def merge(config, changes, prefix="", pattern=None):
    """Checks every change, then applies all of them; ValueError otherwise."""
    pattern = DEFAULTS if pattern is None else pattern
    if not isinstance(changes, dict):
        raise ValueError("%s must be an object" % (prefix or "config"))
    for name, value in changes.items():
        check(prefix + name, name, value, pattern)
    for name, value in changes.items():
        if isinstance(pattern[name], dict):
            merge(config[name], value, prefix + name + ".", pattern[name])
        else:
            config[name] = value


def check(full_name, name, value, pattern):
    if name not in pattern:
        raise ValueError("no such setting: %s" % full_name)
    default = pattern[name]
    if isinstance(default, dict):
        if not isinstance(value, dict):
            raise ValueError("%s must be an object" % full_name)
        for inner in value:
            check(full_name + "." + inner, inner, value[inner], default)
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError("%s must be true or false" % full_name)
    elif isinstance(default, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) \
                or value < 0:
            raise ValueError("%s must be a number, not negative" % full_name)
    elif full_name == "catalogue":
        check_catalogue(value)
    elif value is not None and not isinstance(value, str):
        raise ValueError("%s must be a text or null" % full_name)
    if full_name in CHOICES and value not in CHOICES[full_name]:
        raise ValueError("%s must be one of %s"
                         % (full_name, ", ".join(CHOICES[full_name])))


def check_catalogue(value):
    if value is None:
        return
    kinds = ("templates", "items", "buttons")
    if not isinstance(value, dict) or sorted(value) != sorted(kinds) \
            or not all(isinstance(value[kind], list) for kind in kinds):
        raise ValueError("catalogue must be null or an object with the lists "
                         + ", ".join(kinds))

"""template_oracle.py: what transformers' chat template code makes of a request line.

render(line) -> ("text", str) or ("error", message). With messages it is render_jinja_template, which
prepares the conversation; without, the compiled template with the line's variables.
"""
import datetime
import logging
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import transformers.utils.chat_template_utils as ctu  # noqa: E402

COMPILE = getattr(ctu._compile_jinja_template, "__wrapped__", ctu._compile_jinja_template)
if hasattr(COMPILE, "__wrapped__"):
    COMPILE = COMPILE.__wrapped__


class Clock(datetime.datetime):
    """datetime whose now() is the request's strftime_now."""
    moment = None

    @classmethod
    def now(cls, tz=None):
        return cls.moment or datetime.datetime.now(tz)


ctu.datetime = Clock


def render(line):
    line = dict(line)
    source = line.pop("template")
    now = line.pop("strftime_now", None)
    Clock.moment = datetime.datetime.fromisoformat(now) if now else None
    go_on = line.pop("continue_final_message", False)
    try:
        if "messages" in line:
            if go_on and line.get("add_generation_prompt"):
                raise ValueError("continue_final_message and add_generation_prompt")
            chat = line.pop("messages")
            texts, _ = ctu.render_jinja_template([chat], chat_template=source,
                                                 continue_final_message=go_on, **line)
            text = texts[0]
        elif go_on:
            raise ValueError("continue_final_message without messages")
        else:
            text = ctu._compile_jinja_template(source).render(**line)
        text.encode("utf-8")
        return "text", text
    except RecursionError:
        return "error", "recursion"
    except Exception as e:  # noqa: BLE001  any exception is the reference's error
        return "error", f"{type(e).__name__}: {e}"

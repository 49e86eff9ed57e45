"""A bot for Omnibus in one file: repeats what it hears, and hands over when it is told to.

    pip install aiohttp standardwebhooks
    BOT_SECRET=whsec_... python echo_bot.py

Configure it as an automation (see bot.md):

    automations:
      echo: {type: webhook, url: http://127.0.0.1:8090/, secret: "${BOT_SECRET}", allow_private: true}
"""

import os

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


def answer(question: dict) -> dict:
    """What to do about a message: this is the part to replace by your own."""
    text = question["message"]["content"].get("text", "")
    if "help" in text.lower():
        return {"replies": [{"text": "One moment, please."}], "hand_over": True, "summary": "They asked for help."}
    if "bye" in text.lower():
        return {"replies": [{"text": "Goodbye!"}], "resolve": True}
    if not text:
        return {"hand_over": True, "summary": "A message without text."}
    return {"replies": [{"text": f"You said: {text}"}], "tags": ["echoed"]}


def make_app(secret: str) -> web.Application:
    """The bot as a web application; requests that Omnibus did not sign are refused."""
    proof = Webhook(secret)

    async def ask(request: web.Request) -> web.Response:
        try:
            question = proof.verify(await request.read(), dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        return web.json_response(answer(question))

    app = web.Application()
    app.router.add_post("/", ask)
    return app


if __name__ == "__main__":
    web.run_app(make_app(os.environ["BOT_SECRET"]), host="127.0.0.1", port=8090)

"""A receiver of alerts: checks the signature, takes each notification once.

pip install standardwebhooks && python webhook_receiver.py whsec_... 9000
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

taken: set[str] = set()  # a real receiver keeps these, for a day or so


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is signed right, 400 to everything else."""

    def do_POST(self) -> None:
        """Take one notification."""
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            alert = Webhook(sys.argv[1]).verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            self.send_error(400, str(error))
            return
        name = self.headers["webhook-id"]
        print(json.dumps({"id": name, "repeated": name in taken, **alert}, ensure_ascii=False), flush=True)
        taken.add(name)
        self.send_response(204)
        self.end_headers()


HTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver).serve_forever()

# Django: a view
import json
import os
import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "app",
                           "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}},
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test", USE_TZ=True)


@csrf_exempt
def webhook(request):
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT line_notify.receive_webhook(%s, %s, %s)",
                           ["shop", request.body, request.headers.get("x-line-signature", "")])
    except DatabaseError as e:
        # 28000: not from LINE.  Anything else: LINE shall deliver it again.
        state = getattr(e.__cause__, "sqlstate", None) or getattr(e.__cause__, "pgcode", None)      # psycopg 3, or 2
        return HttpResponse(status=401 if state == "28000" else 503)
    events = json.loads(request.body)["events"]
    return HttpResponse(",".join(e["message"]["text"] for e in events if e["type"] == "message"))     # your bot


urlpatterns = [path("webhook/line", webhook)]
django.setup()
make_server("127.0.0.1", int(os.environ["BOT_PORT"]), get_wsgi_application()).serve_forever()

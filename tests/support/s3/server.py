"""
An S3 server on this machine: OpenStack Swift with its S3 API, from Debian's package python3-swift, as one process. It checks
signatures and Content-MD5. What is stored is in FOLDER, so that it can be killed and started again. It prints its address once it
answers, and ends with the process that started it.

    /usr/bin/python3 server.py FOLDER PORT
"""
import eventlet
import eventlet.hubs

eventlet.hubs.use_hub("poll")
eventlet.patcher.monkey_patch()

import os
import sys

from eventlet import wsgi
from paste.deploy import loadapp
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.storage_policy import reload_storage_policies


def main(folder, port):
    parent = os.getppid()
    os.makedirs(os.path.join(folder, "disks", "one"), exist_ok=True)
    utils.HASH_PATH_SUFFIX = utils.HASH_PATH_PREFIX = b"tests"
    ports = {name: eventlet.listen(("127.0.0.1", 0)) for name in ("account", "container", "object")}
    for name, listening in ports.items():
        write_ring(folder, name, listening.getsockname()[1])
    reload_storage_policies()
    for name, listening in ports.items():
        serve(load(folder, name, STORAGE.format(folder=folder, name=name)), listening)
    proxy = load(folder, "proxy", PROXY.format(folder=folder))
    listening = eventlet.listen(("127.0.0.1", port))
    serve(lambda env, start: proxy({**env, "swift.cache": NoCache()}, start), listening)
    print("http://127.0.0.1:%d" % listening.getsockname()[1], flush=True)
    while os.getppid() == parent:
        eventlet.sleep(0.5)
    os._exit(0)


def write_ring(folder, name, port):
    """Everything is on one disk."""
    builder = RingBuilder(1, 1, 0)
    place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "device": "one", "weight": 1.0, **place})
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, name + ".ring.gz"))


def load(folder, name, text):
    path = os.path.join(folder, name + ".conf")
    with open(path, "w") as file:
        file.write(text)
    return loadapp("config:" + path)


def serve(app, listening):
    eventlet.spawn(wsgi.server, listening, app, log=open(os.devnull, "w"), debug=False)


class NoCache:
    """In the place of memcached."""

    def get(self, key, **_):
        return None

    def set(self, key, value, **_):
        pass

    def delete(self, key, **_):
        pass


STORAGE = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
[pipeline:main]
pipeline = server
[app:server]
use = egg:swift#{name}
log_level = ERROR
"""

# Parts may be small, so that tests are quick.
PROXY = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors s3api tempauth bulk slo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:s3api]
use = egg:swift#s3api
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_steplog_tests = secret .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
min_segment_size = 1
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""

main(os.path.abspath(sys.argv[1]), int(sys.argv[2]))

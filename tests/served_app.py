"""An application on a port of this machine."""

import contextlib
import threading
import time

import uvicorn


@contextlib.contextmanager
def served(app, lifespan="off"):
    """URL of an application that is served meanwhile; `lifespan` "on" starts and ends it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan=lifespan))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()

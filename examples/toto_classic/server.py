from toto.server import TotoServer

TotoServer("settings.conf").run()

from toto.worker import TotoWorkerService

TotoWorkerService("worker.conf").run()

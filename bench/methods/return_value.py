"""Answers with its parameters."""


def invoke(handler, parameters):
    return {"parameters": parameters}

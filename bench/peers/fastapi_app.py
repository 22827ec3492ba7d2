"""FastAPI on uvicorn: a plain function, which FastAPI runs in its thread pool."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Call(BaseModel):
    """The body of a call."""

    method: str
    parameters: dict[str, object]


@app.post("/")
def call(body: Call) -> dict[str, object]:
    """Echo the parameters."""
    return {"result": {"parameters": body.parameters}}

"""What is imported once for all processes that tests/forking.py forks: the product, and the SDKs that its settings can
choose. Only cli.py is not, since its consoles look at the environment."""

# ruff: noqa: F401

import gc

import asyncmy
import asyncpg
import rich.progress
import typer
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.main
import uvicorn.protocols.http.httptools_impl

import db.migrations
import doctor
import embeddings
import evaluator
import frames
import providers.azure_search
import providers.redis_signals
import server
import terminal
import tests.forking

gc.collect()
gc.freeze()  # or every fork walks, and so copies, all of this

"""Whether anybody listens to what is run: tracers and other handlers of LangChain's."""

from langchain_core.callbacks import AsyncCallbackManager, Callbacks
from langchain_core.runnables.config import ensure_config


def anybody_listens(callbacks: Callbacks = None, verbose: bool = False) -> bool:
    """To a run that begins here, with these `callbacks` of its own. LangChain is asked, so a tracer that the environment
    configures is one."""
    inherited = ensure_config().get("callbacks")
    return bool(AsyncCallbackManager.configure(inherited, callbacks, verbose).handlers)

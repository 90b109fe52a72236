"""An adapter trained here, served by a real vLLM on the CPU, and verified through it.

    python -m tests.real_vllm

Apart from the other tests: it needs 2.5 GB for vLLM and some minutes. `install` makes the
environment that vLLM runs in, `server` runs it there, `__main__` is the test.
"""

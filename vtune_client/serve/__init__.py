"""A fine-tuning service over any installed provider, in the shapes of OpenAI and of Together.

    config      what the service is started with
    records     what it remembers; `store` keeps that in SQLite
    files       uploads, judged row by row after they came in
    jobs        what clients ask of jobs; `worker` brings one after the other to its end
    models      bases and delivered models, and their answers
    faults      what goes wrong on request; `vendor` how honestly it trains
    service     all of these together
    app         the same over HTTP; `run` until somebody stops it

Everything lies below one directory, private to the user. Needs the `serve` extra.
"""

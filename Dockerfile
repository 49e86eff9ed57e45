# One image for every stage; the command says which.
FROM python:3.13-slim
RUN useradd --create-home --uid 10001 omnibus
WORKDIR /opt/omnibus
COPY pyproject.toml README.md LICENSE ./
COPY omnibus omnibus
COPY connectors connectors
COPY normalizer normalizer
COPY router router
COPY sinks sinks
RUN pip install --no-cache-dir '.[kafka,blob,jwt]'
USER omnibus
WORKDIR /home/omnibus
ENTRYPOINT ["omnibus"]
CMD ["up"]

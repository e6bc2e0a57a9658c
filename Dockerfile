# One image with all that the pipeline needs, for Docker and Apptainer; the code comes from the checkout that is mounted.
#   docker build --tag unravel . && docker run --rm --gpus all --volume "$PWD:/work" unravel snakemake --cores all
#   apptainer build unravel.sif docker-daemon:unravel:latest && apptainer exec --nv unravel.sif snakemake --cores all
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /tmp/
RUN pip install --no-cache-dir --require-hashes --requirement /tmp/requirements.lock
ENV MPLCONFIGDIR=/tmp XDG_CACHE_HOME=/tmp/cache
WORKDIR /work

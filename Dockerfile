# One image with all that the pipeline needs, for Docker and Apptainer; the code comes from the checkout that is mounted.
#   docker build --tag unravel .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" --volume "$PWD:/work" unravel snakemake --cores all
#   apptainer build unravel.sif docker-daemon:unravel:latest && apptainer exec --nv unravel.sif snakemake --cores all
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
COPY requirements-run.lock /tmp/
RUN pip install --no-cache-dir --require-hashes --requirement /tmp/requirements-run.lock
# git reads a checkout that belongs to somebody else only if told so, and records name the commit.
RUN git config --system --add safe.directory /work
# A user who is unknown in the image has neither a name nor a home.
ENV USER=unravel HOME=/tmp MPLCONFIGDIR=/tmp XDG_CACHE_HOME=/tmp/cache
WORKDIR /work

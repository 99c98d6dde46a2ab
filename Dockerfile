# Crayonbox in a container: docker build -t crayonbox . && docker run -p 7860:7860 crayonbox
# Keep drawings and weights:  -v crayonbox-data:/data -v crayonbox-models:/models
# On an NVIDIA GPU:           docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 …
#                             docker run --gpus all …
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /app

# The largest layer first, by version alone: no change of ours installs torch again.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_VERSION=2.13.0
RUN pip install --index-url "${TORCH_INDEX}" "torch==${TORCH_VERSION}"

COPY requirements.txt constraints.txt ./
RUN pip install -r requirements.txt -c constraints.txt

RUN useradd --uid 1000 --create-home crayon \
    && install --directory --owner crayon /data /models
COPY LICENSE ATTRIBUTION.md app.py ./
COPY docs/pocket/README.md docs/pocket/
COPY docs/licences docs/licences
COPY static static
COPY dalle_app dalle_app

USER crayon
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    DALLE_DATA_DIR=/data \
    DALLE_MODELS_DIR=/models
VOLUME ["/data", "/models"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as web; web.urlopen(f'http://127.0.0.1:{os.environ[\"GRADIO_SERVER_PORT\"]}/healthz', timeout=4)"]
CMD ["python", "app.py"]

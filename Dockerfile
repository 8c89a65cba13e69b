# the dashboard's charts; nothing of Node.js is in the image that runs
FROM node:22-slim AS charts
WORKDIR /charts
COPY service/dashboard/package.json service/dashboard/package-lock.json service/dashboard/.npmrc ./
RUN npm ci --ignore-scripts

# the Python that the test suite runs on; `make image` adds version and commit as labels
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY sql ./sql
COPY service ./service
COPY --from=charts /charts/node_modules ./service/dashboard/node_modules
# a new volume that is mounted at /archive takes over its owner
RUN touch service/dashboard/node_modules/.package-lock.json \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e . \
    && groupadd --system --gid 10001 energy \
    && useradd --system --uid 10001 --gid 10001 --no-create-home energy \
    && install -d -o 10001 -g 10001 /archive

# by number: Kubernetes cannot tell whether a name is root
USER 10001:10001
EXPOSE 3000
# liveness, as Docker's health leads to restarts; bash costs milliseconds, where Python would start anew each time
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${PORT:-3000} && printf 'GET /health/live HTTP/1.1\\r\\nHost: health\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r -t 2 _ status _ <&3 && test \"$status\" = 200"]
ENTRYPOINT ["energy"]
CMD ["serve"]

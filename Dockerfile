# the dashboard's charts; nothing of Node.js is in the image that runs
FROM node:22-slim AS charts
WORKDIR /charts
COPY service/dashboard/package.json service/dashboard/package-lock.json service/dashboard/.npmrc ./
RUN npm ci

FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY sql ./sql
COPY service ./service
COPY --from=charts /charts/node_modules ./service/dashboard/node_modules
RUN touch service/dashboard/node_modules/.package-lock.json \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e . \
    && useradd --system --uid 10001 --no-create-home energy

USER energy
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3000/health/ready', timeout=2)"]
ENTRYPOINT ["energy"]
CMD ["serve"]

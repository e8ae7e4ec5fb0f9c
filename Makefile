# `make` explains itself: each target carries its one line of help after `##`.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin

# Everything that is written in Python.
CODE := policies channels daemon tests benchmarks

.PHONY: help setup demo run test check lint format schema guide explore twilio-contract bench wheel clean

help: ## 显示这份说明 / show this help
	@echo 'duban 督办'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

setup: ## 建立 .venv（其他命令会自动调用） / make .venv (the other targets do it by themselves)
	@sh scripts/setup.sh

demo: setup ## 演示：一分钟看完四周 / demo: four weeks in a minute
	@$(BIN)/duban demo

run: setup ## 按真实时间运行（演示数据） / run in real time, on the demo's data
	@$(BIN)/duban demo --real-time

test: setup ## 运行全部测试 / run all tests
	@if [ -f scripts/install-test-servers.sh ]; then sh scripts/install-test-servers.sh; fi
	@sh scripts/install-packaging-tools.sh
	@$(BIN)/pytest -n auto

check: lint test ## 提交前要过的全部检查 / everything that must pass before a commit

lint: setup ## 格式、静态检查、类型、依赖方向、拼写 / format, lint, types, directions, spelling
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/codespell $(CODE) config docs systemd scripts README.md CHANGELOG.md

format: setup ## 整理格式 / format the code
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

schema: setup ## 重新生成 config/policy.schema.json / write config/policy.schema.json again
	@$(BIN)/duban policy schema > config/policy.schema.json.new && mv config/policy.schema.json.new config/policy.schema.json

guide: setup ## 重新填写入门页里的命令输出 / fill in again what the first-policy pages show
	@cd tests && ../$(BIN)/python -m support.guide ../docs/first-policy.zh-CN.md ../docs/first-policy.md

explore: setup ## 用新的随机样例检验各项不变量 / look for new examples that break a property
	@HYPOTHESIS_PROFILE=explore $(BIN)/pytest -n auto tests/policies tests/channels/test_mime.py tests/contracts/test_store_codec.py tests/acceptance/test_foresight_comes_true.py

twilio-contract: setup ## 用 Twilio 公布的接口描述对照：SPEC=twilio_api_v2010.json / against Twilio's published description
	@sh scripts/twilio-contract.sh "$(SPEC)"

bench: setup ## 性能测量 / measure
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

wheel: setup ## 打包 / build the wheel into dist/
	@if command -v uv >/dev/null 2>&1; then uv build --wheel; else .cache/uv/bin/uv build --wheel; fi

clean: ## 删除生成的东西（不含 .venv） / remove what was generated, except .venv
	rm -rf dist build .hypothesis .mypy_cache .ruff_cache .import_linter_cache .pytest_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

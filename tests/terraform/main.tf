# A group of machines behind a balancer, on a public image, with nothing but what Yandex's own provider offers.
terraform {
  required_providers {
    yandex = { source = "yandex-cloud/yandex" }
  }
}

provider "yandex" {
  zone = "ru-central1-a"
}

variable "folder_id" {
  type = string
}
variable "size" {
  default = 3
}

data "yandex_compute_image" "debian" {
  family = "debian-13"
}

resource "yandex_vpc_network" "web" {
  name = "web"
}

resource "yandex_vpc_subnet" "web" {
  name           = "web-a"
  zone           = "ru-central1-a"
  network_id     = yandex_vpc_network.web.id
  v4_cidr_blocks = ["10.50.0.0/24"]
}

resource "yandex_iam_service_account" "group" {
  name = "web-group"
}

resource "yandex_resourcemanager_folder_iam_member" "editor" {
  folder_id = var.folder_id
  role      = "editor"
  member    = "serviceAccount:${yandex_iam_service_account.group.id}"
}

resource "yandex_compute_instance_group" "web" {
  name               = "web"
  folder_id          = var.folder_id
  service_account_id = yandex_iam_service_account.group.id
  depends_on         = [yandex_resourcemanager_folder_iam_member.editor] # it has to outlive the group

  instance_template {
    platform_id = "standard-v3"
    resources {
      memory = 2
      cores  = 2
    }
    boot_disk {
      initialize_params {
        image_id = data.yandex_compute_image.debian.id
        size     = 10
        type     = "network-hdd"
      }
    }
    network_interface {
      network_id = yandex_vpc_network.web.id
      subnet_ids = [yandex_vpc_subnet.web.id]
    }
    metadata = {
      user-data = <<-EOT
        #cloud-config
        runcmd:
          - [systemd-run, --unit=web, --working-directory=/etc, python3, -m, http.server, "80"]
      EOT
    }
  }
  scale_policy {
    fixed_scale {
      size = var.size
    }
  }
  allocation_policy {
    zones = ["ru-central1-a"]
  }
  deploy_policy {
    max_unavailable = 1
    max_expansion   = 0
  }
  health_check {
    interval = 2
    timeout  = 1
    tcp_options {
      port = 80
    }
  }
  load_balancer {
    target_group_name = "web"
  }
}

resource "yandex_lb_network_load_balancer" "web" {
  name = "web"
  listener {
    name = "http"
    port = 80
    external_address_spec {}
  }
  attached_target_group {
    target_group_id = yandex_compute_instance_group.web.load_balancer[0].target_group_id
    healthcheck {
      name = "tcp"
      tcp_options {
        port = 80
      }
    }
  }
}

output "address" {
  value = one(one(yandex_lb_network_load_balancer.web.listener[*].external_address_spec)[*].address)
}
